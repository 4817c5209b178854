#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "app/data_dir.h"
#include "config/config.h"
#include "crypto/shared_key.h"
#include "loop/event_loop.h"

namespace kollator::app {

struct WorkerOptions {
    std::string version;
    std::string id;
    /// Empty: the worker registers with no front.
    std::vector<std::string> front_urls;
    /// Empty: no fellow worker can prove itself. REQUIRES: set where there are fronts.
    std::optional<crypto::SharedKey> shared_key;
    /// Offers loopback addresses too, for browsers on the same machine.
    bool include_loopback = false;
};

/// All parts of a worker, put together. Loop thread only (or before the loop runs).
class Worker {
 public:
    /// Opens the store, the cache and the ports. kInvalid: a setting is wrong; kUnavailable: a port
    /// or a folder cannot be used. `loop`, `config` and `data` outlive the worker.
    static Result<std::unique_ptr<Worker>> start(EventLoop& loop, const config::Config& config,
                                                 const DataDir& data, WorkerOptions options);
    ~Worker();

    /// HTTP on TCP, data channels on UDP.
    std::uint16_t port() const;
    std::string http_url() const;
    /// Where clients dial without signaling, the best first; empty with DIRECT_DIAL off.
    std::vector<std::string> direct_addresses() const;
    /// "filesystem /path" or "s3 …".
    std::string store_description() const;

    /// Tells the fronts, stops accepting, lets what is under way finish, sends what is journaled,
    /// and writes the cache's order down. `on_done` runs once, about DRAIN_SECONDS later at most.
    void drain(std::function<void()> on_done);

 private:
    class Parts;
    explicit Worker(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

}  // namespace kollator::app
