#pragma once

#include <memory>

#include "rtc/peer_hub.h"

namespace kollator::rtc::hub {

/// One endpoint on the hub's own loop: every call goes straight to it.
class LocalHub final : public PeerHub {
 public:
    explicit LocalHub(std::unique_ptr<Endpoint> endpoint) : endpoint_(std::move(endpoint)) {}

    PeerId accept(std::string_view offer_sdp, std::unique_ptr<PeerObserver> observer,
                  OnAnswer on_done) override {
        const Result<Answer> answer = endpoint_->accept(offer_sdp, std::move(observer));
        on_done(answer);
        return answer.ok() ? answer->peer : 0;
    }
    void renegotiate(PeerId peer, std::string_view offer_sdp, OnAnswer on_done) override {
        on_done(endpoint_->renegotiate(peer, offer_sdp));
    }
    void restart_ice(PeerId peer, const IceCredentials& remote, OnFragment on_done) override {
        on_done(endpoint_->restart_ice(peer, remote));
    }
    void add_remote_candidates(PeerId peer, std::vector<std::string> candidates,
                               OnStatus on_done) override {
        Status status;
        for (const std::string& candidate : candidates) {
            status = endpoint_->add_remote_candidate(peer, candidate);
            if (!status.ok()) break;
        }
        on_done(status);
    }
    void close(PeerId peer, const std::string& reason) override { endpoint_->close(peer, reason); }
    void close_all(const std::string& reason) override {
        for (const PeerInfo& peer : endpoint_->peers()) endpoint_->close(peer.id, reason);
    }
    void accept_direct(Endpoint::DirectAcceptor acceptor) override {
        endpoint_->accept_direct(std::move(acceptor));
    }
    std::vector<DirectAddress> direct_addresses() const override {
        return endpoint_->direct_addresses();
    }
    std::uint16_t port() const override { return endpoint_->port(); }
    PeerCounts counts() const override {
        const EndpointStats stats = endpoint_->stats();
        return {stats.active, stats.total};
    }
    std::optional<Fingerprint> peer_fingerprint(PeerId peer) const override {
        return endpoint_->peer_fingerprint(peer);
    }
    void refresh(std::function<void()> on_done) override {
        report_.total = endpoint_->stats();
        report_.shards = {{endpoint_->port(), report_.total}};
        report_.candidates = endpoint_->local_candidates();
        on_done();
    }
    const HubReport& report() const override { return report_; }

 private:
    const std::unique_ptr<Endpoint> endpoint_;
    HubReport report_;
};

}  // namespace kollator::rtc::hub
