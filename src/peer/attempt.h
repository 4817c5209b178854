#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "loop/event_loop.h"
#include "peer/connection_impl.h"
#include "peer/dialer.h"
#include "signaling/signaling_client.h"

namespace kollator::peer {

/// What attempts share; outlives them.
struct DialContext {
    EventLoop& loop;
    const Clock& clock;
    Random& random;
    rtc::Endpoint& endpoint;
    const DialerOptions& options;
    HttpClient& http;
};

enum class Way { kDirect, kHttp, kSignaling };

/// One way to one worker, from the offer to the worker's HELLO. Destroying it ends it. Loop thread
/// only.
class Attempt final : private signaling::SignalingObserver {
 public:
    using Done = std::function<void(Result<std::shared_ptr<Connection::Impl>>)>;

    /// `done` runs once, not before this returned; it may destroy the attempt.
    Attempt(const DialContext& context, const Route& route, Way way, Done done);
    ~Attempt() override;

 private:
    Status begin();
    Status dial_directly();
    Result<std::string> make_offer();
    Status exchange_by_http();
    void take_http_answer(const Result<HttpReply>& reply);
    void patch(const std::string& candidate);
    Status relay_through_front();
    void greet();
    void fail(Error error);
    void end(Result<std::shared_ptr<Connection::Impl>> result);

    // SignalingObserver.
    void on_registered(const std::string& id) override;
    void on_signal(const std::string& from, const signaling::SignalData& data) override;
    void on_error(const signaling::ErrorMessage& error) override;
    void on_disconnected(const std::string& reason) override;

    const DialContext context_;
    const Route route_;
    const Way way_;
    Done done_;
    std::shared_ptr<Connection::Impl> impl_;
    std::unique_ptr<signaling::SignalingClient> signaling_;
    bool offered_ = false;
    bool answered_ = false;
    std::string session_url_;          ///< of POST /rtc's answer
    std::vector<std::string> theirs_;  ///< candidates that came before the answer
    std::vector<std::string> ours_;    ///< candidates that the worker is not told yet
    Timer timer_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace kollator::peer
