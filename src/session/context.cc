#include "session/context.h"

#include <chrono>
#include <utility>

#include "session/session.h"

namespace kollator::session {
namespace {

using protocol::MessageType;
using protocol::WireError;

constexpr Duration kSweepInterval = std::chrono::seconds(1);

/// From a hit in memory to an object store that is far away, in seconds.
const std::vector<double> kFirstFragmentBounds = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                  0.1,    0.25,  0.5,    1,     2.5,  5,     10};

std::vector<Counter> request_counters(MetricsRegistry& metrics) {
    std::vector<Counter> counters;
    for (std::size_t number = 0; number <= protocol::kMessageTypes; ++number) {
        const auto name = protocol::to_string(static_cast<MessageType>(number));
        counters.push_back(metrics.counter("kollator_session_requests_total", "Requests received",
                                           {{"type", std::string(name)}}));
    }
    return counters;
}

std::vector<Counter> error_counters(MetricsRegistry& metrics) {
    std::vector<Counter> counters;
    for (std::size_t number = 1; number <= protocol::kWireErrors; ++number) {
        const auto name = protocol::to_string(static_cast<WireError>(number));
        counters.push_back(metrics.counter("kollator_session_errors_total", "Error answers",
                                           {{"code", std::string(name)}}));
    }
    return counters;
}

}  // namespace

SessionContext::SessionContext(SessionServices services)
    : services_(std::move(services)),
      sweep_timer_(services_.loop),
      requests_(request_counters(services_.metrics)),
      errors_(error_counters(services_.metrics)),
      malformed_(services_.metrics.counter("kollator_session_malformed_total",
                                           "Messages that could not be read")),
      received_bytes_(services_.metrics.counter("kollator_session_received_bytes_total",
                                                "Bytes of messages received")),
      sent_bytes_(services_.metrics.counter("kollator_session_sent_bytes_total",
                                            "Bytes of messages handed to the transport")),
      sessions_total_(
          services_.metrics.counter("kollator_session_sessions_total", "Connections ever served")),
      sessions_active_(
          services_.metrics.gauge("kollator_session_active_sessions", "Connections now")),
      requests_active_(
          services_.metrics.gauge("kollator_session_active_requests", "Requests in flight now")),
      fellows_(services_.metrics.gauge("kollator_session_fellows",
                                       "Connections now whose peer proved to be a worker")),
      first_fragment_(services_.metrics.histogram(
          "kollator_session_first_fragment_seconds",
          "From a request to its first fragment handed to the transport", kFirstFragmentBounds)) {}

SessionContext::~SessionContext() {
    KOLLATOR_CHECK(sessions_.empty());
}

void SessionContext::sweep() {
    for (Session* session : sessions_) session->sweep();
}

void SessionContext::schedule_sweep() {
    sweep_timer_.start_after(kSweepInterval, [this] {
        sweep();
        if (!sessions_.empty()) schedule_sweep();
    });
}

std::uint64_t SessionContext::enter(Session& session) {
    if (sessions_.empty()) schedule_sweep();
    sessions_.insert(&session);
    stats_.active_sessions = sessions_.size();
    sessions_total_.add();
    sessions_active_.set(static_cast<double>(sessions_.size()));
    return ++stats_.total_sessions;
}

void SessionContext::leave(Session& session) {
    sessions_.erase(&session);
    stats_.active_sessions = sessions_.size();
    sessions_active_.set(static_cast<double>(sessions_.size()));
}

void SessionContext::count_request(MessageType type) {
    ++stats_.requests;
    const auto number = static_cast<std::size_t>(type);
    requests_[std::min(number, protocol::kMessageTypes)].add();
}

void SessionContext::count_error(WireError code) {
    ++stats_.errors;
    errors_.at(static_cast<std::size_t>(code) - 1).add();
}

void SessionContext::count_malformed() {
    ++stats_.malformed;
    malformed_.add();
}

void SessionContext::count_received(std::size_t bytes) {
    stats_.bytes_received += bytes;
    received_bytes_.add(static_cast<double>(bytes));
}

void SessionContext::count_sent(std::size_t bytes) {
    stats_.bytes_sent += bytes;
    sent_bytes_.add(static_cast<double>(bytes));
}

void SessionContext::count_active(int change) {
    stats_.active_requests =
        static_cast<std::size_t>(static_cast<std::ptrdiff_t>(stats_.active_requests) + change);
    requests_active_.add(change);
}

void SessionContext::count_fellows(int change) {
    stats_.fellows = static_cast<std::size_t>(static_cast<std::ptrdiff_t>(stats_.fellows) + change);
    if (change > 0) ++stats_.total_fellows;
    fellows_.set(static_cast<double>(stats_.fellows));
}

void SessionContext::count_first_fragment(Duration since_request) {
    first_fragment_.observe(std::chrono::duration<double>(since_request).count());
}

}  // namespace kollator::session
