#include "cluster/fellow_link.h"

#include <array>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "cluster/link_cipher.h"

namespace kollator::cluster {
namespace {

const log::Logger kLog("cluster");

constexpr Duration kBackOffBase = std::chrono::milliseconds(500);
constexpr Duration kBackOffLimit = std::chrono::seconds(30);
/// Who has nothing to tell us by a further attempt: ourselves, or one who is linked already.
constexpr Duration kUnwantedDelay = std::chrono::minutes(2);
constexpr Duration kAuthDeadline = std::chrono::seconds(10);
constexpr Duration kPingInterval = std::chrono::seconds(1);
/// Of a chunk, however steadily it comes: 5 MiB in 20 s are 260 KB/s.
constexpr Duration kChunkDeadline = std::chrono::seconds(20);

}  // namespace

std::string_view to_string(LinkState state) {
    static constexpr std::array<std::string_view, 4> kNames = {"down", "connecting", "proving",
                                                               "up"};
    return kNames[static_cast<std::size_t>(state)];
}

FellowLink::FellowLink(const LinkContext& context, peer::Route route, Hooks hooks)
    : context_(context),
      route_(std::move(route)),
      hooks_(std::move(hooks)),
      fellow_id_(route_.worker_id),
      back_off_(context.random, kBackOffBase, kBackOffLimit),
      timer_(context.loop) {
    dial();
}

FellowLink::~FellowLink() {
    alive_.reset();
    for (ChunkRequest* request : std::exchange(requests_, {})) request->lose("the link is closed");
}

void FellowLink::try_now() {
    if (state_ == LinkState::kDown) dial();
}

void FellowLink::dial() {
    timer_.cancel();
    if (!route_.worker_id.empty()) {
        const Status wanted = hooks_.admit(route_.worker_id);
        if (!wanted) return rest_unwanted(wanted.error().detail);
    }
    state_ = LinkState::kConnecting;
    context_.dialer.dial(route_, [this, alive = std::weak_ptr(alive_)](auto connection) {
        if (!alive.expired()) on_connected(std::move(connection));
    });
}

void FellowLink::on_connected(Result<std::unique_ptr<peer::Connection>> connection) {
    if (!connection) {
        // Another link of ours has this fellow, or is about to: to an endpoint there is one
        // connection at a time. Tried again as others that failed, since that link may end.
        if (connection.error().code == ErrorCode::kCancelled) {
            unwanted_ = true;
            last_error_ = connection.error().detail;  // no warning
        }
        return fall(connection.error().detail, false);
    }
    connection_ = std::move(*connection);
    connection_->set_on_lost([this, alive = std::weak_ptr(alive_)](const std::string& reason) {
        if (!alive.expired()) fall("lost: " + reason, true);
    });
    prove();
}

void FellowLink::prove() {
    state_ = LinkState::kProving;
    const auto fingerprint = context_.endpoint.peer_fingerprint(connection_->peer());
    if (!fingerprint) return fall("the fellow's certificate is not known", true);
    const LinkFingerprints ends{context_.own_fingerprint, *fingerprint};
    if (ends.offerer == ends.answerer) return rest_unwanted("this worker itself");
    const protocol::Auth own = context_.authenticator.offer(ends);
    Bytes body;
    protocol::encode(own, body);
    connection_->requests().ask(
        protocol::MessageType::kAuth, body, {.deadline = kAuthDeadline},
        [this, own, ends, alive = std::weak_ptr(alive_)](const Result<Bytes>& answer) {
            if (!alive.expired()) on_proof(own, ends, answer);
        });
}

void FellowLink::on_proof(const protocol::Auth& own, const LinkFingerprints& ends,
                          const Result<Bytes>& answer) {
    if (state_ != LinkState::kProving) return;
    if (const Status taken = take_proof(own, ends, answer); !taken) {
        if (taken.error().code == ErrorCode::kCancelled) return rest_unwanted(taken.error().detail);
        return fall(taken.error().detail, false);
    }
    state_ = LinkState::kUp;
    count(&LinkCounts::connected);
    last_error_.clear();
    unwanted_ = false;
    patience_ = {};
    back_off_.reset();
    kLog.info("fellow={} up peer={}", fellow_id_, connection_->peer());
    schedule_ping();
    hooks_.changed();
}

/// kCancelled: proved, but not wanted.
Status FellowLink::take_proof(const protocol::Auth& own, const LinkFingerprints& ends,
                              const Result<Bytes>& answer) {
    if (!answer) return make_error(answer.error().code, "AUTH: " + answer.error().detail);
    const auto auth = protocol::decode_auth(*answer);
    if (!auth) return auth.error();
    const auto link = context_.authenticator.accept(own, *auth, ends);
    if (!link) return make_error(ErrorCode::kInvalid, "its AUTH: " + link.error().detail);
    if (!route_.worker_id.empty() && link->fellow_id != route_.worker_id) {
        return make_error(ErrorCode::kInvalid, "another worker answers there: " + link->fellow_id);
    }
    fellow_id_ = link->fellow_id;
    if (const Status admitted = hooks_.admit(fellow_id_); !admitted) {
        return make_error(ErrorCode::kCancelled, admitted.error().detail);
    }
    connection_->requests().set_cipher(std::make_unique<LinkCipher>(link->keys));
    return {};
}

void FellowLink::rest_unwanted(const std::string& why) {
    last_error_ = why;  // no warning
    fall(why, false);
    unwanted_ = true;
    timer_.start_after(kUnwantedDelay, [this] { dial(); });
}

void FellowLink::count(std::uint64_t LinkCounts::*which, std::uint64_t amount) {
    counts_.*which += amount;
    context_.tally(which, amount);
}

/// `soon`: it was good until now, so that the first attempt need not wait long.
void FellowLink::fall(const std::string& why, bool soon) {
    const bool was_up = std::exchange(state_, LinkState::kDown) == LinkState::kUp;
    if (was_up || why != last_error_) {
        kLog.warn("fellow={} down reason=\"{}\"", fellow_id_.empty() ? "?" : fellow_id_, why);
    }
    last_error_ = why;
    // May be called from within the connection: it goes when it has returned.
    if (connection_) {
        connection_->set_on_lost(nullptr);
        spent_.push_back(std::move(connection_));
        context_.loop.post([this, alive = std::weak_ptr(alive_)] {
            if (!alive.expired()) spent_.clear();
        });
    }
    if (soon) back_off_.reset();
    timer_.start_after(back_off_.next(), [this] { dial(); });
    const std::weak_ptr alive(alive_);
    for (ChunkRequest* request : std::exchange(requests_, {})) request->lose("the link is lost");
    if (was_up && !alive.expired()) hooks_.changed();
}

void FellowLink::schedule_ping() {
    timer_.start_after(kPingInterval, [this] { ping(); });
}

/// Without a deadline: as long as it is owed an answer the connection watches for signs of life
/// (peer::LivenessLimits), and one who is busy sending chunks is none that is lost.
void FellowLink::ping() {
    Bytes body;
    protocol::encode(context_.hello, body);
    connection_->requests().ask(protocol::MessageType::kHello, body, {},
                                [this, alive = std::weak_ptr(alive_)](const Result<Bytes>& answer) {
                                    if (alive.expired() || !up()) return;
                                    if (!answer)
                                        return fall("no sign of life: " + answer.error().detail,
                                                    true);
                                    schedule_ping();
                                });
}

std::unique_ptr<ChunkSource::Request> FellowLink::fetch(const ChunkId& id,
                                                        const ChunkSource::Options& options,
                                                        ChunkSource::OnProgress on_progress,
                                                        ChunkSource::OnDone on_done) {
    KOLLATOR_CHECK(up());
    if (requests_.size() >= kMaxLinkRequests) return nullptr;
    count(&LinkCounts::asked);
    auto request = std::make_unique<ChunkRequest>(
        context_.loop, connection_->requests(),
        ChunkRequest::Params{id, options, context_.wait, kChunkDeadline,
                             [this, alive = std::weak_ptr(alive_)] {
                                 return alive.expired() ? TimePoint() : heard_;
                             }},
        [this, alive = std::weak_ptr(alive_), tell = std::move(on_progress)](
            const SharedBuffer& buffer, std::size_t available) {
            if (!alive.expired()) heard_ = context_.loop.now();
            tell(buffer, available);
        },
        std::move(on_done),
        [this, alive = std::weak_ptr(alive_)](ChunkRequest& ended,
                                              const Result<SharedBuffer>* result) {
            if (!alive.expired()) on_request_end(ended, result);
        });
    requests_.insert(request.get());
    return request;
}

void FellowLink::on_request_end(ChunkRequest& request, const Result<SharedBuffer>* result) {
    requests_.erase(&request);
    count(&LinkCounts::received_bytes, request.received_bytes());
    if (result == nullptr) return;  // nobody waited any more
    if (result->ok()) {
        count(&LinkCounts::got);
        return patience_.answered();
    }
    switch (result->error().code) {
        case ErrorCode::kNotFound:
            count(&LinkCounts::not_found);
            return patience_.answered();
        case ErrorCode::kTimeout:
            count(&LinkCounts::timeouts);
            return note_timeout();
        default:
            count(&LinkCounts::failures);
    }
}

/// Requests that run out of time together are one timeout.
void FellowLink::note_timeout() {
    const TimePoint now = context_.clock.now();
    if (now < timed_out_ + std::chrono::duration_cast<TimePoint::duration>(context_.wait) / 2)
        return;
    timed_out_ = now;
    patience_.timed_out(now);
}

void FellowLink::was_corrupt() {
    count(&LinkCounts::corrupt);
    patience_.was_corrupt(context_.clock.now());
    last_error_ = "it sent bytes that do not match their name";
    kLog.error("fellow={} corrupt=chunk", fellow_id_);
}

}  // namespace kollator::cluster
