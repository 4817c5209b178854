#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "base/time.h"
#include "chunk/chunk_service.h"
#include "loop/event_loop.h"
#include "protocol/deflate.h"
#include "protocol/message.h"
#include "session/discovery.h"
#include "session/limits.h"

namespace kollator::cluster {
class Authenticator;
}

namespace kollator::session {

class Session;

/// What the sessions of one worker share. Everything referred to outlives the context.
struct SessionServices {
    chunk::ChunkService& chunks;
    EventLoop& loop;
    const Clock& clock;
    MetricsRegistry& metrics;
    SessionLimits limits;
    std::string worker_id;
    std::string agent;                  ///< HELLO's "agent": "kollator/0.1.0"
    std::vector<std::string> features;  ///< HELLO's "features"
    /// HEALTH_CHECK's answer, the same JSON document as GET /health. Quick: runs on the loop.
    std::function<std::string()> health;
    /// For AUTH; null where this worker has no shared key: AUTH is then UNSUPPORTED.
    cluster::Authenticator* authenticator = nullptr;
    /// For DHT_ANNOUNCE and DHT_LOOKUP; null where the worker is not in the DHT: UNSUPPORTED.
    Discovery* discovery = nullptr;
};

/// For /stats. Sums over the life of the process unless it says "now".
struct SessionStats {
    std::size_t active_sessions = 0;  ///< now
    std::size_t active_requests = 0;  ///< now
    std::size_t fellows = 0;          ///< sessions now whose peer proved to be a worker
    std::uint64_t total_fellows = 0;
    std::uint64_t total_sessions = 0;
    std::uint64_t requests = 0;
    std::uint64_t errors = 0;  ///< error answers, each code
    std::uint64_t malformed = 0;
    std::uint64_t blobs_served = 0;  ///< chunks and metadata, whole or a range, to the last byte
    std::uint64_t blobs_stored = 0;  ///< stores acknowledged, those already there included
    std::uint64_t bytes_received = 0;
    std::uint64_t bytes_sent = 0;
};

/// Made once for each loop; outlives its sessions. Loop thread only.
class SessionContext {
 public:
    explicit SessionContext(SessionServices services);
    ~SessionContext();
    SessionContext(const SessionContext&) = delete;
    SessionContext& operator=(const SessionContext&) = delete;

    const SessionStats& stats() const { return stats_; }

    /// Ends what took too long, by the clock. Runs each second by itself while there are sessions;
    /// public for tests, whose clock stands still.
    void sweep();

    // For sessions only.
    const SessionServices& services() const { return services_; }
    const SessionLimits& limits() const { return services_.limits; }
    chunk::ChunkService& chunks() const { return services_.chunks; }
    TimePoint now() const { return services_.clock.now(); }
    std::uint64_t enter(Session& session);  ///< gives its number, for logs
    void leave(Session& session);
    void count_request(protocol::MessageType type);
    void count_error(protocol::WireError code);
    void count_malformed();
    void count_received(std::size_t bytes);
    void count_sent(std::size_t bytes);
    void count_active(int change);
    void count_first_fragment(Duration since_request);
    void count_fellows(int change);
    void count_served() { ++stats_.blobs_served; }
    void count_stored() { ++stats_.blobs_stored; }
    protocol::Deflater& deflater() { return deflater_; }
    protocol::Inflater& inflater() { return inflater_; }

 private:
    void schedule_sweep();

    // Injected.
    const SessionServices services_;

    // State.
    SessionStats stats_;
    std::set<Session*> sessions_;
    Timer sweep_timer_;
    protocol::Deflater deflater_;  // one message at a time, whoever's it is
    protocol::Inflater inflater_;

    std::vector<Counter> requests_;  // by type; the last one for unknown types
    std::vector<Counter> errors_;    // by code, from 1
    Counter malformed_;
    Counter received_bytes_;
    Counter sent_bytes_;
    Counter sessions_total_;
    Gauge sessions_active_;
    Gauge requests_active_;
    Gauge fellows_;
    Histogram first_fragment_;
};

}  // namespace kollator::session
