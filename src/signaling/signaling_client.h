#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/random.h"
#include "base/result.h"
#include "base/time.h"
#include "loop/event_loop.h"
#include "signaling/message.h"

namespace kollator::signaling {

enum class SignalingRole { kWorker, kClient };

struct SignalingClientOptions {
    std::string url;  ///< of the front: "ws://host:8080/signaling"
    SignalingRole role = SignalingRole::kWorker;
    std::string id;  ///< a worker's own; for a client the UUID to offer, or empty
    // A worker's only:
    Bytes shared_key;
    std::string worker_url;  ///< where clients reach its HTTP
    std::uint64_t capacity = 0;
    // "at least every second" (protocol.md, 1.2), with room for a late timer.
    Duration status_interval = std::chrono::milliseconds(750);

    std::string ca_file;  ///< PEM, for wss fronts whose authority the system does not know
    Duration connect_timeout = std::chrono::seconds(10);  ///< to "registered"
    Duration back_off_base = std::chrono::milliseconds(500);
    Duration back_off_limit = std::chrono::seconds(30);
};

/// Told by a SignalingClient on the loop, never from within a call to it.
class SignalingObserver {
 public:
    virtual ~SignalingObserver() = default;
    /// The front knows us now, under this id. Comes again after each reconnection.
    virtual void on_registered(const std::string& /*id*/) {}
    virtual void on_signal(const std::string& from, const SignalData& data) = 0;
    /// Something the front could not do: "no-such-peer" with `to`, and so on.
    virtual void on_error(const ErrorMessage& /*error*/) {}
    /// The connection is lost, or an attempt failed for another reason than the last one did.
    virtual void on_disconnected(const std::string& /*reason*/) {}
    /// A worker's state; asked every status_interval while registered.
    virtual WorkerStatus status() { return {}; }
};

/// Keeps a worker (or a client) registered at one front: connects, registers, sends status, and
/// connects anew with a jittered back-off for as long as it lives. Loop thread only.
class SignalingClient {
 public:
    /// Begins at once. kInvalid: the url, the id or the worker's url is none. `loop`, `clock`,
    /// `random` and `observer` outlive the client.
    static Result<std::unique_ptr<SignalingClient>> start(EventLoop& loop, const Clock& clock,
                                                          Random& random,
                                                          SignalingClientOptions options,
                                                          SignalingObserver& observer);
    ~SignalingClient();
    SignalingClient(const SignalingClient&) = delete;
    SignalingClient& operator=(const SignalingClient&) = delete;

    bool registered() const;
    /// False where the front is not connected now: the signal is lost, as it would be with the
    /// front.
    bool send_signal(const std::string& to, SignalData data);
    /// Tells the front a worker's state at once: a drain that begins should not wait for the timer.
    void send_status();

 private:
    struct Impl;
    explicit SignalingClient(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace kollator::signaling
