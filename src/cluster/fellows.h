#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "cluster/chunk_source.h"
#include "cluster/fellow_link.h"
#include "cluster/front_list.h"
#include "cluster/rendezvous.h"

namespace kollator::cluster {

/// Links that a worker keeps at most; fellows beyond are not asked.
inline constexpr std::size_t kMaxFellows = 64;

struct FrontAddress {
    std::string http_url;       ///< "http://host:8080"
    std::string signaling_url;  ///< "ws://host:8080/signaling"
};

struct FellowsOptions {
    /// Where fellows are reached: http or https URLs, or direct addresses. Our own may be among
    /// them.
    std::vector<std::string> addresses;
    /// Fronts whose lists of workers name fellows, too.
    std::vector<FrontAddress> fronts;
    /// How long a fellow may be silent about a chunk.
    Duration wait = std::chrono::seconds(2);
    Duration front_interval = std::chrono::seconds(5);  ///< between looks at a front's list
};

struct FellowInfo {
    std::string id;  ///< empty: not known yet
    std::string address;
    LinkState state = LinkState::kDown;
    bool usable = false;
    bool unwanted = false;  ///< this worker itself, or linked by another address
    LinkCounts counts;
    std::string error;
};

/// All fellows of a worker, and which of them is asked for a chunk: the owner by rendezvous hashing
/// among those that are there, ourselves among them. Loop thread only.
class Fellows final : public ChunkSource {
 public:
    /// What Fellows is made from; all outlive it.
    struct Services {
        EventLoop& loop;
        const Clock& clock;
        Random& random;
        rtc::Endpoint& endpoint;
        Authenticator& authenticator;
        MetricsRegistry& metrics;
    };

    /// Begins to look for fellows at once. `hello`: what we say of ourselves.
    Fellows(const Services& services, const crypto::SharedKey& key,
            const Fingerprint& own_fingerprint, const protocol::Hello& hello,
            FellowsOptions options);
    ~Fellows() override;
    Fellows(const Fellows&) = delete;
    Fellows& operator=(const Fellows&) = delete;

    std::unique_ptr<Request> fetch(const ChunkId& id, const Options& options,
                                   OnProgress on_progress, OnDone on_done) override;
    void was_corrupt(const ChunkId& id) override;

    /// Ends all links, for good: requests under way end with kUnavailable.
    void stop();

    std::vector<FellowInfo> list() const;
    /// Connections of ours to fellows, now and ever.
    std::size_t links() const;
    std::uint64_t total_links() const { return total_links_; }
    /// Sets what is not counted as it happens.
    void refresh_metrics();

 private:
    struct Entry {
        std::set<std::size_t> fronts;  // that list it; none: from the settings
        bool fixed = false;
        std::unique_ptr<FellowLink> link;
    };
    struct Shown;

    void add(const std::string& name, peer::Route route, std::optional<std::size_t> front);
    Status admit(const std::string& name, const std::string& fellow_id);
    void on_changed();
    void ask_front(std::size_t front);
    void take_list(std::size_t front, const std::vector<ListedWorker>& workers);
    FellowLink* owner_of(const ChunkId& id);

    // injected
    const FellowsOptions options_;
    Authenticator& authenticator_;

    // owned
    const std::unique_ptr<Shown> shown_;
    peer::Dialer dialer_;
    const LinkContext context_;
    const Rendezvous rendezvous_;
    std::vector<std::unique_ptr<Timer>> front_timers_;  // one a front

    // state
    /// By "id <worker>" for those of the fronts, and "at <address>" for those of the settings.
    std::map<std::string, Entry> entries_;
    std::uint64_t total_links_ = 0;
    bool stopped_ = false;
    const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace kollator::cluster
