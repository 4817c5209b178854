#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "rtc/peer_hub.h"
#include "signaling/signaling_client.h"

namespace kollator::app {

/// What a front link wants to be told of a connection.
struct FrontPeerCallbacks {
    std::function<void()> closed;                       ///< once, when it has ended
    std::function<void(const std::string&)> candidate;  ///< one that comes after the answer
    std::shared_ptr<void> pending;                      ///< kept until it is up, or gone
};

/// What a front link asks of its worker. All run on the loop.
struct FrontLinkHooks {
    /// Answers an offer (PeerHub::accept).
    std::function<rtc::PeerId(const std::string& offer, FrontPeerCallbacks callbacks,
                              rtc::PeerHub::OnAnswer on_done)>
        accept;
    /// A further offer of a connection; kNotFound: it belongs to another.
    std::function<void(rtc::PeerId peer, const std::string& offer, rtc::PeerHub::OnAnswer on_done)>
        renegotiate;
    std::function<void(rtc::PeerId peer, const std::string& candidate,
                       rtc::PeerHub::OnStatus on_done)>
        add_candidate;
    std::function<signaling::WorkerStatus()> status;
};

/// A worker's tie to one front: registers, and answers the clients that the front introduces
/// (protocol.md, 1.2). Loop thread only.
class FrontLink final : public signaling::SignalingObserver {
 public:
    FrontLink(std::string url, FrontLinkHooks hooks);

    /// Begins to connect. `options` without its url.
    Status start(EventLoop& loop, signaling::SignalingClientOptions options);

    bool registered() const { return client_ != nullptr && client_->registered(); }
    const std::string& url() const { return url_; }
    void send_status() const;

    void on_registered(const std::string& id) override;
    void on_signal(const std::string& from, const signaling::SignalData& data) override;
    void on_disconnected(const std::string& reason) override;
    signaling::WorkerStatus status() override { return hooks_.status(); }

 private:
    void on_offer(const std::string& from, const std::string& sdp);
    void accept(const std::string& from, const std::string& sdp);
    void forget(const std::string& from, rtc::PeerId peer);
    void on_candidate(const std::string& from, const std::string& candidate);

    const std::string url_;
    const FrontLinkHooks hooks_;

    /// The latest connection of each client that this front introduced; an entry goes with its
    /// connection, so the endpoint's bound on connections bounds this too. Shared with the
    /// callbacks that erase: they may outlive the link.
    std::shared_ptr<std::map<std::string, rtc::PeerId>> peers_;
    /// Candidates of those of them who sent a further offer, until it has its answer: it may begin
    /// a new connection, whose they are then.
    std::map<std::string, std::vector<std::string>> held_;
    std::unique_ptr<signaling::SignalingClient> client_;
};

/// "http://host:8080", "ws://host:8080" or "ws://host:8080/signaling" as the WebSocket's URL.
std::string signaling_url(const std::string& front_url);
/// The same front's HTTP: "http://host:8080".
std::string front_http_url(const std::string& front_url);

}  // namespace kollator::app
