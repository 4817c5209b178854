#include "peer/attempt.h"

#include <utility>

#include "rtc/direct_address.h"
#include "signaling/message.h"

namespace kollator::peer {
namespace {

/// Candidates kept while the other side cannot take them yet; a front could send any number.
constexpr std::size_t kMaxKeptCandidates = 64;

const char* name_of(Way way) {
    switch (way) {
        case Way::kDirect:
            return "by its direct address";
        case Way::kHttp:
            return "by POST /rtc";
        case Way::kSignaling:
            return "through the front";
    }
    return "";
}

}  // namespace

Attempt::Attempt(const DialContext& context, const Route& route, Way way, Done done)
    : context_(context),
      route_(route),
      way_(way),
      done_(std::move(done)),
      impl_(std::make_shared<Connection::Impl>(context.loop, context.endpoint,
                                               context.options.requests)),
      timer_(context.loop) {
    impl_->on_open = [this] { greet(); };
    impl_->on_lost = [this](const std::string& reason) {
        fail(make_error(ErrorCode::kUnavailable, "the worker did not connect: " + reason));
    };
    timer_.start_after(context_.options.way_timeout, [this] {
        fail(make_error(ErrorCode::kTimeout, "the worker did not connect in time"));
    });
    if (Status status = begin(); !status) {
        context_.loop.post([this, error = status.error(), alive = std::weak_ptr(alive_)] {
            if (!alive.expired()) fail(error);
        });
    }
}

Attempt::~Attempt() {
    if (impl_) impl_->drop();
}

Status Attempt::begin() {
    switch (way_) {
        case Way::kDirect:
            return dial_directly();
        case Way::kHttp:
            return exchange_by_http();
        case Way::kSignaling:
            return relay_through_front();
    }
    return {};
}

Status Attempt::dial_directly() {
    const auto address = rtc::parse_direct_address(route_.direct_address);
    if (!address) return address.error();
    const auto peer = context_.endpoint.dial(*address, impl_->observer());
    if (!peer) return peer.error();
    impl_->peer = *peer;
    return context_.endpoint.open_channel(*peer, {kChannelLabel, kChannelProtocol});
}

Result<std::string> Attempt::make_offer() {
    auto offer = context_.endpoint.offer(impl_->observer());
    if (!offer) return offer.error();
    impl_->peer = offer->peer;
    if (auto opened =
            context_.endpoint.open_channel(offer->peer, {kChannelLabel, kChannelProtocol});
        !opened) {
        return opened.error();
    }
    return std::move(offer->sdp);
}

Status Attempt::exchange_by_http() {
    auto offer = make_offer();
    if (!offer) return offer.error();
    impl_->on_candidate = [this](const std::string& candidate) {
        if (!session_url_.empty()) return patch(candidate);
        if (ours_.size() < kMaxKeptCandidates) ours_.push_back(candidate);
    };
    HttpRequest request;
    request.method = "POST";
    request.url = join_url(route_.worker_url, "/rtc");
    request.content_type = "application/sdp";
    request.body = std::move(*offer);
    request.timeout =
        std::chrono::duration_cast<std::chrono::milliseconds>(context_.options.way_timeout);
    context_.http.send(std::move(request),
                       [this, alive = std::weak_ptr(alive_)](const Result<HttpReply>& reply) {
                           if (!alive.expired()) take_http_answer(reply);
                       });
    return {};
}

void Attempt::take_http_answer(const Result<HttpReply>& reply) {
    if (!reply) return fail(reply.error());
    if (reply->status != 201) {
        // protocol.md, 1.1: the worker has no room, or none for this address.
        const bool full = reply->status == 503 || reply->status == 429;
        return fail(make_error(
            full ? ErrorCode::kLimit : ErrorCode::kUnavailable,
            full ? "the worker is full"
                 : "the worker answered " + std::to_string(reply->status) + " to POST /rtc"));
    }
    if (Status taken = context_.endpoint.accept_answer(impl_->peer, reply->body); !taken) {
        return fail(taken.error());
    }
    // RFC 9725 4.3: the session's own URL; relative to the worker's.
    if (reply->location.starts_with('/')) {
        session_url_ = join_url(route_.worker_url, reply->location);
        for (const std::string& candidate : std::exchange(ours_, {})) patch(candidate);
    }
}

/// RFC 8840: one candidate. The connection may well come about without it, so a failure is none.
void Attempt::patch(const std::string& candidate) {
    HttpRequest request;
    request.method = "PATCH";
    request.url = session_url_;
    request.content_type = "application/trickle-ice-sdpfrag";
    request.body =
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:0\r\na=" + candidate + "\r\n";
    context_.http.send(std::move(request), [](const Result<HttpReply>&) {});
}

Status Attempt::relay_through_front() {
    signaling::SignalingClientOptions options;
    options.url = route_.signaling_url;
    options.role = signaling::SignalingRole::kClient;
    options.ca_file = context_.options.ca_file;
    options.connect_timeout = context_.options.way_timeout;
    auto client = signaling::SignalingClient::start(context_.loop, context_.clock, context_.random,
                                                    std::move(options), *this);
    if (!client) return client.error();
    signaling_ = std::move(*client);
    return {};
}

void Attempt::on_registered(const std::string&) {
    if (std::exchange(offered_, true)) return;
    auto offer = make_offer();
    if (!offer) return fail(offer.error());
    impl_->on_candidate = [this](const std::string& candidate) {
        signaling_->send_signal(route_.worker_id, signaling::make_candidate(candidate));
    };
    signaling_->send_signal(route_.worker_id, signaling::make_offer(std::move(*offer)));
}

void Attempt::on_signal(const std::string& from, const signaling::SignalData& data) {
    using Kind = signaling::SignalData::Kind;
    if (from != route_.worker_id || !offered_) return;
    if (data.kind == Kind::kAnswer && !answered_) {
        if (Status taken = context_.endpoint.accept_answer(impl_->peer, data.sdp); !taken) {
            return fail(taken.error());
        }
        answered_ = true;
        for (const std::string& candidate : std::exchange(theirs_, {})) {
            (void)context_.endpoint.add_remote_candidate(impl_->peer, candidate);
        }
    } else if (data.kind == Kind::kCandidate) {
        if (answered_) {
            // One that cannot be used here (another address family, say) is no fault.
            (void)context_.endpoint.add_remote_candidate(impl_->peer, data.candidate);
        } else if (theirs_.size() < kMaxKeptCandidates) {
            theirs_.push_back(data.candidate);
        }
    }
}

void Attempt::on_error(const signaling::ErrorMessage& error) {
    fail(make_error(ErrorCode::kUnavailable, "the front says " + error.code));
}

void Attempt::on_disconnected(const std::string& reason) {
    // With the answer here, ICE goes on without the front.
    if (!answered_) fail(make_error(ErrorCode::kUnavailable, "the front: " + reason));
}

void Attempt::greet() {
    timer_.start_after(context_.options.hello_timeout, [this] {
        fail(make_error(ErrorCode::kTimeout, "the worker does not answer HELLO"));
    });
    impl_->requests->hello(context_.options.hello, [this](Result<protocol::Hello> hello) {
        if (!hello) return fail(hello.error());
        if (hello->version != protocol::kVersion) {
            return fail(make_error(ErrorCode::kInvalid, "the worker speaks another version"));
        }
        impl_->hello = std::move(*hello);
        end(std::move(impl_));
    });
}

void Attempt::fail(Error error) {
    error.detail = std::string(name_of(way_)) + ": " + error.detail;
    end(std::move(error));
}

void Attempt::end(Result<std::shared_ptr<Connection::Impl>> result) {
    const Done done = std::exchange(done_, nullptr);
    if (!done) return;
    timer_.cancel();
    if (result) {
        Connection::Impl& impl = **result;
        impl.on_open = nullptr;
        impl.on_candidate = nullptr;
        impl.on_lost = nullptr;
    }
    done(std::move(result));  // may destroy this
}

}  // namespace kollator::peer
