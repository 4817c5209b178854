#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace kollator::cli {

/// Exit codes of the commands that speak to a worker, besides config::kExitOk, kExitFailure and
/// kExitUsage.
inline constexpr int kExitUnreachable = 3;  ///< no worker answers there
inline constexpr int kExitForbidden = 4;    ///< the admin token is missing or wrong

struct WorkerAddress {
    std::string url;          ///< "http://host:8081", without a path
    std::string admin_token;  ///< empty: none is sent
};

/// What went wrong, and with what the command ends.
struct Failure {
    int exit_code = 1;
    std::string text;
};

struct HttpReply {
    long status = 0;
    std::string body;
};

/// The worker's HTTP API, one blocking request after the other over one connection. For the command
/// line only: never on a loop.
class WorkerClient {
 public:
    explicit WorkerClient(WorkerAddress address);
    virtual ~WorkerClient();
    WorkerClient(const WorkerClient&) = delete;
    WorkerClient& operator=(const WorkerClient&) = delete;

    struct Entry {
        std::string hash;
        std::uint64_t size_bytes = 0;     ///< the object's own
        std::optional<std::string> name;  ///< of a torrent, where the worker knows it
        std::uint64_t length_bytes = 0;   ///< of a torrent's files, with the name
    };
    struct Page {
        std::vector<Entry> entries;
        std::optional<std::string> next;  ///< what the next page begins after; empty: the last one
    };
    struct Query {
        bool torrents = false;
        bool cached = false;
        std::string after;
    };
    struct Removed {
        std::optional<std::int64_t> due_s;  ///< since 1970; empty: gone
    };

    std::optional<Failure> list(const Query& query, Page& page);
    /// One of the worker's documents, such as "/stats".
    std::optional<Failure> get(const std::string& path, std::string& body) {
        return ask("GET", path, body);
    }
    std::optional<Failure> remove(bool torrent, const std::string& hash, Removed& removed);

 protected:
    /// kUnavailable: nobody answers. Virtual for tests.
    virtual Result<HttpReply> exchange(const std::string& method, const std::string& path);

 private:
    std::optional<Failure> ask(const std::string& method, const std::string& path,
                               std::string& body);

    struct Curl;
    const WorkerAddress address_;
    std::unique_ptr<Curl> curl_;
};

}  // namespace kollator::cli
