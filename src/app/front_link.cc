#include "app/front_link.h"

#include <utility>

#include "base/log.h"
#include "crypto/system_random.h"
#include "loop/system_clock.h"

namespace kollator::app {
namespace {

const log::Logger kLog("cluster");

constexpr std::string_view kSignalingPath = "/signaling";

}  // namespace

FrontLink::FrontLink(std::string url, FrontLinkHooks hooks)
    : url_(std::move(url)),
      hooks_(std::move(hooks)),
      peers_(std::make_shared<std::map<std::string, rtc::PeerId>>()) {}

Status FrontLink::start(EventLoop& loop, signaling::SignalingClientOptions options) {
    options.url = url_;
    auto client = signaling::SignalingClient::start(loop, system_clock(), crypto::system_random(),
                                                    std::move(options), *this);
    if (!client) return client.error();
    client_ = std::move(*client);
    return {};
}

void FrontLink::send_status() const {
    if (registered()) client_->send_status();
}

void FrontLink::on_registered(const std::string& id) {
    kLog.info("front={} registered id={}", url_, id);
}

void FrontLink::on_disconnected(const std::string& reason) {
    kLog.warn("front={} lost reason=\"{}\"", url_, reason);
}

void FrontLink::on_signal(const std::string& from, const signaling::SignalData& data) {
    switch (data.kind) {
        case signaling::SignalData::Kind::kOffer:
            return on_offer(from, data.sdp);
        case signaling::SignalData::Kind::kCandidate:
            return on_candidate(from, data.candidate);
        case signaling::SignalData::Kind::kAnswer:
            kLog.debug("client={} ignored=answer", from);
    }
}

/// Whether it was a further offer of the client's connection, which has its answer then.
bool FrontLink::restarts(const std::string& from, const std::string& sdp) {
    const auto found = peers_->find(from);
    if (found == peers_->end()) return false;
    const auto answer = hooks_.renegotiate(found->second, sdp);
    if (answer) client_->send_signal(from, signaling::make_answer(answer->sdp));
    return answer.ok();
}

void FrontLink::on_offer(const std::string& from, const std::string& sdp) {
    if (restarts(from, sdp)) return;
    const auto peer = std::make_shared<rtc::PeerId>(0);
    FrontPeerCallbacks callbacks;
    callbacks.closed = [peers = std::weak_ptr(peers_), from, peer] {
        const auto known = peers.lock();
        if (!known) return;
        // A client may have come anew in between: only its own entry goes.
        const auto found = known->find(from);
        if (found != known->end() && found->second == *peer) known->erase(found);
    };
    callbacks.candidate = [this, peers = std::weak_ptr(peers_), from](const std::string& text) {
        // The link lives as long as its map.
        if (!peers.expired()) client_->send_signal(from, signaling::make_candidate(text));
    };
    const auto answer = hooks_.accept(sdp, std::move(callbacks));
    if (!answer) {
        // The contract has no message for it: the client's own deadline ends its attempt.
        kLog.warn("client={} refused=offer reason=\"{}\"", from, answer.error().detail);
        return;
    }
    *peer = answer->peer;
    (*peers_)[from] = answer->peer;
    client_->send_signal(from, signaling::make_answer(answer->sdp));
}

void FrontLink::on_candidate(const std::string& from, const std::string& candidate) {
    const auto found = peers_->find(from);
    if (found == peers_->end()) return;
    if (const auto status = hooks_.add_candidate(found->second, candidate); !status) {
        kLog.debug("client={} refused=candidate reason=\"{}\"", from, status.error().detail);
    }
}

std::string front_http_url(const std::string& front_url) {
    std::string url = front_url;
    if (url.starts_with("ws")) url.replace(0, 2, "http");  // ws: http:, wss: https:
    if (url.ends_with(kSignalingPath)) url.resize(url.size() - kSignalingPath.size());
    return url;
}

std::string signaling_url(const std::string& front_url) {
    std::string url = front_url;
    if (url.starts_with("http")) url.replace(0, 4, "ws");  // http: ws:, https: wss:
    const std::size_t path = url.find('/', url.find("://") + 3);
    if (path == std::string::npos) return url + std::string(kSignalingPath);
    return path + 1 == url.size() ? url.substr(0, path) + std::string(kSignalingPath) : url;
}

}  // namespace kollator::app
