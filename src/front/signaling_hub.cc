#include "front/signaling_hub.h"

#include <fmt/core.h>

#include "base/log.h"

namespace kollator::front {

using http::kClosePolicy;
using http::WebSocketObserver;
using http::WebSocketPeer;
using namespace signaling;  // the messages

namespace {

const log::Logger kLog("front");

}  // namespace

/// One connection. Owned by its observer, which the connection owns.
struct SignalingHub::Member {
    Member(std::shared_ptr<WebSocketPeer> the_peer, const HubLimits& limits, TimePoint now)
        : peer(std::move(the_peer)),
          joined_at(now),
          messages(limits.client_messages_per_s, limits.client_message_burst, now),
          bytes(limits.client_bytes_per_s, limits.client_byte_burst, now) {}

    std::shared_ptr<WebSocketPeer> peer;
    Role role = Role::kNone;
    std::string id;  ///< empty before it is registered, and after another took its place
    TimePoint joined_at;
    RateLimit messages;
    RateLimit bytes;
    std::size_t bad_messages = 0;
    bool refused = false;  ///< closing: nothing it says counts
};

class SignalingHub::Observer final : public WebSocketObserver {
 public:
    Observer(SignalingHub& hub, std::unique_ptr<Member> member)
        : hub_(hub), member_(std::move(member)) {}
    void on_text(std::string_view text) override { hub_.on_text(*member_, text); }
    void on_close(std::uint16_t, const std::string&) override { hub_.on_close(*member_); }

 private:
    SignalingHub& hub_;
    const std::unique_ptr<Member> member_;
};

SignalingHub::SignalingHub(const Clock& clock, Random& random, WorkerPool& pool, Bytes shared_key,
                           HubLimits limits)
    : clock_(clock),
      random_(random),
      pool_(pool),
      verifier_(std::move(shared_key)),
      limits_(limits) {}

SignalingHub::~SignalingHub() = default;

std::unique_ptr<WebSocketObserver> SignalingHub::join(std::shared_ptr<WebSocketPeer> peer) {
    if (members_.size() >= limits_.max_members) {
        peer->send_text(
            encode_message(ErrorMessage{"busy", "too many clients, try again later", ""}));
        peer->close(http::kCloseTryAgainLater, "too many clients");
        return nullptr;
    }
    auto member = std::make_unique<Member>(std::move(peer), limits_, clock_.now());
    members_.insert(member.get());
    return std::make_unique<Observer>(*this, std::move(member));
}

void SignalingHub::sweep() {
    const TimePoint now = clock_.now();
    for (Member* member : members_) {
        if (member->role != Role::kNone || member->refused) continue;
        if (now - member->joined_at > limits_.register_timeout) {
            refuse(*member, "timeout", "no registration came");
        }
    }
}

std::size_t SignalingHub::clients() const {
    std::size_t count = 0;
    for (const Member* member : members_) count += member->role == Role::kClient ? 1 : 0;
    return count;
}

void SignalingHub::on_close(Member& member) {
    members_.erase(&member);
    const auto found = by_id_.find(member.id);
    // A worker that was replaced is not found under its id any more.
    if (member.id.empty() || found == by_id_.end() || found->second != &member) return;
    by_id_.erase(found);
    if (member.role == Role::kWorker) {
        pool_.remove(member.id);
        kLog.info("event=worker-left id={}", member.id);
    }
}

void SignalingHub::on_text(Member& member, std::string_view text) {
    if (member.refused) return;
    if (!within_limits(member, text.size())) {
        return refuse(member, "rate-limited", "too many messages, come again more slowly");
    }
    auto message = decode_message(text);
    if (!message) return bad_message(member, message.error().detail);
    handle(member, *std::move(message));
}

bool SignalingHub::within_limits(Member& member, std::size_t size_bytes) {
    const TimePoint now = clock_.now();
    return member.messages.take(1, now) && member.bytes.take(static_cast<double>(size_bytes), now);
}

void SignalingHub::handle(Member& member, Message message) {
    if (auto* signal = std::get_if<Signal>(&message)) return relay(member, std::move(*signal));
    if (const auto* status = std::get_if<WorkerStatus>(&message)) return on_status(member, *status);
    const auto* worker = std::get_if<RegisterWorker>(&message);
    const auto* client = std::get_if<RegisterClient>(&message);
    if (worker == nullptr && client == nullptr) {
        return bad_message(member, "only a front sends this");
    }
    if (member.role != Role::kNone) return bad_message(member, "this connection is registered");
    if (worker != nullptr) {
        register_worker(member, *worker);
    } else {
        register_client(member, *client);
    }
}

void SignalingHub::register_worker(Member& member, const RegisterWorker& request) {
    const Status verified =
        verifier_.verify(request.id, request.timestamp_s, request.token, clock_.wall_now());
    if (!verified) {
        kLog.warn("event=worker-refused id={} remote={} reason=\"{}\"", request.id,
                  member.peer->remote_address(), verified.error().detail);
        return refuse(member, "unauthorized", verified.error().detail);
    }
    const auto found = by_id_.find(request.id);
    if (found != by_id_.end()) {
        // The newest authenticated worker wins: the old connection is most likely a dead one of the
        // same worker. A client never keeps a worker from its name.
        Member& old = *found->second;
        by_id_.erase(found);
        old.id.clear();
        refuse(old, "replaced", "another connection registered under this id");
    }
    if (const Status added = pool_.add(request, clock_.now(), clock_.wall_now()); !added) {
        return refuse(member, "busy", added.error().detail);
    }
    member.role = Role::kWorker;
    member.id = request.id;
    const TimePoint now = clock_.now();
    member.messages = RateLimit(limits_.worker_messages_per_s, limits_.worker_message_burst, now);
    member.bytes = RateLimit(limits_.worker_bytes_per_s, limits_.worker_byte_burst, now);
    by_id_[member.id] = &member;
    kLog.info("event=worker-joined id={} url={} remote={}", request.id, request.url,
              member.peer->remote_address());
    member.peer->send_text(encode_message(Registered{member.id}));
}

void SignalingHub::register_client(Member& member, const RegisterClient& request) {
    const bool free = !request.id.empty() && !by_id_.contains(request.id);
    member.role = Role::kClient;
    member.id = free ? request.id : new_client_id();
    by_id_[member.id] = &member;
    member.peer->send_text(encode_message(Registered{member.id}));
}

void SignalingHub::relay(Member& member, Signal signal) {
    if (member.role == Role::kNone) return bad_message(member, "register first");
    const auto found = by_id_.find(signal.to);
    if (found == by_id_.end()) {
        member.peer->send_text(encode_message(
            ErrorMessage{"no-such-peer", "it is not connected to this front", signal.to}));
        return;
    }
    signal.from = member.id;  // whatever the sender wrote there
    ++relayed_;
    found->second->peer->send_text(encode_message(signal));
}

void SignalingHub::on_status(Member& member, const WorkerStatus& status) {
    if (member.role != Role::kWorker) return bad_message(member, "only a worker sends its status");
    if (!member.id.empty()) pool_.heard(member.id, status, clock_.now(), clock_.wall_now());
}

void SignalingHub::bad_message(Member& member, const std::string& why) {
    if (++member.bad_messages > limits_.max_bad_messages) {
        return refuse(member, "bad-message", "too many malformed messages");
    }
    member.peer->send_text(encode_message(ErrorMessage{"bad-message", why, ""}));
}

void SignalingHub::refuse(Member& member, const std::string& code, const std::string& why) {
    member.refused = true;
    member.peer->send_text(encode_message(ErrorMessage{code, why, ""}));
    member.peer->close(kClosePolicy, code);
}

std::string SignalingHub::new_client_id() {
    std::uint8_t raw[16];
    random_.fill(raw);
    // RFC 9562 5.4: version 4, variant 10.
    raw[6] = static_cast<std::uint8_t>((raw[6] & 0x0f) | 0x40);
    raw[8] = static_cast<std::uint8_t>((raw[8] & 0x3f) | 0x80);
    const std::string hex = to_hex(raw);
    return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4),
                       hex.substr(16, 4), hex.substr(20));
}

}  // namespace kollator::front
