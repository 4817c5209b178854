#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "rtc/endpoint.h"
#include "session/session.h"

namespace kollator::app {

/// Joins a peer connection of `rtc` to a conversation of `session`: neither knows the other. Owned
/// by the endpoint. Loop thread only.
class PeerSession final : public rtc::PeerObserver {
 public:
    /// What a session asks of its endpoint.
    struct Connection {
        std::function<void(rtc::PeerId, const std::string& reason)> close;
        std::function<std::optional<cluster::LinkFingerprints>(rtc::PeerId)> fingerprints;
    };

    /// `connection` is asked about the peer that set_peer() named; `closed` is told once when it
    /// has ended. `context` outlives the session.
    PeerSession(session::SessionContext& context, std::string label, Connection connection,
                std::function<void()> closed);

    /// Told of each candidate of ours that comes after the answer.
    void set_on_candidate(std::function<void(const std::string&)> on_candidate) {
        on_candidate_ = std::move(on_candidate);
    }

    /// Kept until the connection is up, or gone.
    void hold_while_pending(std::shared_ptr<void> pending) { pending_ = std::move(pending); }

    /// Before the loop runs again after Endpoint::accept() gave the id.
    void set_peer(rtc::PeerId peer);

    void on_connected() override { pending_.reset(); }
    void on_local_candidate(const std::string& candidate) override {
        if (on_candidate_) on_candidate_(candidate);
    }
    std::unique_ptr<rtc::DataChannelObserver> on_channel(rtc::DataChannel& channel) override;
    void on_closed(const std::string& reason) override;

 private:
    std::shared_ptr<rtc::PeerId> peer_;
    std::function<void()> closed_;
    std::function<void(const std::string&)> on_candidate_;
    std::shared_ptr<void> pending_;
    std::shared_ptr<session::Session> session_;  // shared with the channels' observers
};

}  // namespace kollator::app
