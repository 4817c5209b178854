#include "app/front_link.h"

#include <utility>

#include "base/log.h"
#include "crypto/system_random.h"
#include "loop/system_clock.h"

namespace kollator::app {
namespace {

const log::Logger kLog("cluster");

constexpr std::string_view kSignalingPath = "/signaling";
/// Of one client, while it is not known yet whose they are; a browser has some, one for each of its
/// interfaces.
constexpr std::size_t kMaxHeldCandidates = 32;

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

/// A further offer of the client's connection is answered by it; any other is a new one's.
void FrontLink::on_offer(const std::string& from, const std::string& sdp) {
    const auto found = peers_->find(from);
    if (found == peers_->end()) return accept(from, sdp);
    held_[from];
    // The link lives as long as its map.
    hooks_.renegotiate(
        found->second, sdp,
        [this, peers = std::weak_ptr(peers_), from, sdp](const Result<rtc::Answer>& answer) {
            if (peers.expired()) return;
            const auto held = held_.extract(from);
            if (answer) {
                client_->send_signal(from, signaling::make_answer(answer->sdp));
            } else if (answer.error().code == ErrorCode::kLimit) {
                kLog.warn("client={} refused=restart reason=\"{}\"", from, answer.error().detail);
            } else {
                accept(from, sdp);
            }
            if (held.empty()) return;
            for (const std::string& candidate : held.mapped()) on_candidate(from, candidate);
        });
}

void FrontLink::accept(const std::string& from, const std::string& sdp) {
    const auto peer = std::make_shared<rtc::PeerId>(0);
    FrontPeerCallbacks callbacks;
    callbacks.closed = [this, peers = std::weak_ptr(peers_), from, peer] {
        if (!peers.expired()) forget(from, *peer);
    };
    callbacks.candidate = [this, peers = std::weak_ptr(peers_), from](const std::string& text) {
        if (!peers.expired()) client_->send_signal(from, signaling::make_candidate(text));
    };
    const auto answered = [this, peers = std::weak_ptr(peers_), from,
                           peer](const Result<rtc::Answer>& answer) {
        if (peers.expired()) return;
        if (answer) {
            client_->send_signal(from, signaling::make_answer(answer->sdp));
            return;
        }
        // The contract has no message for it: the client's own deadline ends its attempt.
        kLog.warn("client={} refused=offer reason=\"{}\"", from, answer.error().detail);
        forget(from, *peer);
    };
    *peer = hooks_.accept(sdp, std::move(callbacks), answered);
    // Known before it is answered: candidates of the client may come meanwhile.
    if (*peer != 0) (*peers_)[from] = *peer;
}

/// A client may have come anew in between: only its own entry goes.
void FrontLink::forget(const std::string& from, rtc::PeerId peer) {
    const auto found = peers_->find(from);
    if (found != peers_->end() && found->second == peer) peers_->erase(found);
}

void FrontLink::on_candidate(const std::string& from, const std::string& candidate) {
    if (const auto held = held_.find(from); held != held_.end()) {
        if (held->second.size() < kMaxHeldCandidates) held->second.push_back(candidate);
        return;
    }
    const auto found = peers_->find(from);
    if (found == peers_->end()) return;
    hooks_.add_candidate(found->second, candidate, [from](const Status& status) {
        if (status) return;
        kLog.debug("client={} refused=candidate reason=\"{}\"", from, status.error().detail);
    });
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
