#include "peer/requests.h"

#include <algorithm>

#include "base/check.h"
#include "peer/request_parts.h"
#include "peer/wire_error.h"

namespace kollator::peer {

using protocol::Flag;
using protocol::Flags;
using protocol::Header;
using protocol::Message;
using protocol::MessageType;
using protocol::WireError;

namespace {

/// Data in one fragment of an upload: it holds the channel for a few milliseconds at most, and
/// larger ones were no faster.
constexpr std::size_t kFragmentDataBytes = 64 * 1024;
/// Fragments handed to the wire before others on the loop have their turn: 1 MiB.
constexpr int kMaxFragmentsPerTurn = 16;
/// Refusals of a worker's own requests that wait for room; more are dropped.
constexpr std::size_t kMaxRefusalBytes = 64 * 1024;

}  // namespace

Requests::Requests(EventLoop& loop, Wire& wire, RequestLimits limits)
    : loop_(loop),
      wire_(wire),
      limits_(limits),
      heard_(loop.now()),
      timer_(loop),
      hello_(encoded(protocol::Hello{})),
      liveness_(limits.liveness),
      look_timer_(loop) {}

Requests::~Requests() = default;

// Requests of one message, and their answers.

template <typename T>
RequestId Requests::call(MessageType type, Bytes body, CallOptions options,
                         Result<T> (*decode)(ByteSpan), Done<T> done) {
    return ask(type, body, std::move(options),
               [decode, done = std::move(done)](Result<Bytes> answer) {
                   done(answer ? decode(*answer) : Result<T>(answer.error()));
               });
}

RequestId Requests::hello(const protocol::Hello& hello, Done<protocol::Hello> done) {
    const auto accepts = [](const protocol::Hello& side) {
        return std::count(side.accept.begin(), side.accept.end(), protocol::kDeflateRaw) > 0;
    };
    inflater_ = accepts(hello) ? std::make_unique<protocol::Inflater>() : nullptr;
    auto agree = [this, accepts, done = std::move(done)](Result<protocol::Hello> theirs) {
        if (theirs && accepts(*theirs)) deflater_ = std::make_unique<protocol::Deflater>();
        done(std::move(theirs));
    };
    hello_ = encoded(hello);
    return call<protocol::Hello>(MessageType::kHello, hello_, {}, protocol::decode_hello,
                                 std::move(agree));
}

RequestId Requests::list(const protocol::ListRequest& request, Done<protocol::ListAnswer> done) {
    return call(MessageType::kChunkList, encoded(request), {}, protocol::decode_list_answer,
                std::move(done));
}

RequestId Requests::announce(std::vector<ChunkId> ids, Done<protocol::AnnounceAnswer> done) {
    return call(MessageType::kDhtAnnounce, encoded(protocol::AnnounceRequest{std::move(ids)}), {},
                protocol::decode_announce_answer, std::move(done));
}

RequestId Requests::look_up(const ChunkId& id, Done<protocol::LookupAnswer> done) {
    return call(MessageType::kDhtLookup, encoded(protocol::LookupRequest{id}), {},
                protocol::decode_lookup_answer, std::move(done));
}

RequestId Requests::stat(std::vector<ChunkId> ids, Done<std::vector<protocol::StatEntry>> done) {
    const std::size_t count = ids.size();
    auto check = [count, done = std::move(done)](Result<Bytes> body) {
        if (!body) return done(body.error());
        auto answer = protocol::decode_stat_answer(*body);
        if (!answer) return done(answer.error());
        if (answer->entries.size() != count) {
            return done(invalid("the worker told of another number of chunks"));
        }
        done(std::move(answer->entries));
    };
    return ask(MessageType::kChunkStat, encoded(protocol::StatRequest{std::move(ids)}), {},
               std::move(check));
}

RequestId Requests::health(Done<std::string> done) {
    return ask(MessageType::kHealthCheck, {}, {}, [done = std::move(done)](Result<Bytes> body) {
        done(body ? Result<std::string>(std::string(as_text(*body))) : body.error());
    });
}

RequestId Requests::ask(MessageType type, const Bytes& body, CallOptions options,
                        Done<Bytes> done) {
    auto answer = std::make_shared<Bytes>();
    Pending pending;
    pending.type = type;
    pending.take = collect(answer);
    pending.finish = [answer, done = std::move(done)](std::optional<Error> error) {
        done(error ? Result<Bytes>(*error) : Result<Bytes>(std::move(*answer)));
    };
    return begin(std::move(pending), options, body);
}

Requests::Take Requests::collect(std::shared_ptr<Bytes> into) const {
    return [into = std::move(into),
            limit = limits_.max_answer_bytes](const Message& message) -> Result<bool> {
        if (into->size() + message.body.size() > limit) return invalid("an answer over the limit");
        into->insert(into->end(), message.body.begin(), message.body.end());
        return !message.header.flags.has(Flag::kMore);
    };
}

// The life of a request.

RequestId Requests::next_id() {
    do {
        ++last_id_;
    } while (pending_.contains(RequestId(last_id_)));
    return RequestId(last_id_);
}

Status Requests::admit(const Pending& pending, std::size_t body_bytes) const {
    if (closed_) return make_error(ErrorCode::kUnavailable, "the connection is lost: " + *closed_);
    if (pending_.size() >= limits_.max_active) {
        return make_error(ErrorCode::kLimit, "too many requests at once on this connection");
    }
    const std::size_t overhead = protocol::kHeaderBytes + (cipher_ ? cipher_->overhead_bytes() : 0);
    if (body_bytes + overhead > wire_.max_message_bytes()) {
        return invalid("a request larger than the worker's messages");
    }
    if (!pending.upload && queued_bytes_ + body_bytes > limits_.max_queued_bytes) {
        return make_error(ErrorCode::kLimit, "too much waits to be sent on this connection");
    }
    return {};
}

RequestId Requests::begin(Pending pending, const CallOptions& options, Bytes body) {
    const RequestId id = next_id();
    if (Status status = admit(pending, body.size()); !status) {
        loop_.post([finish = std::move(pending.finish), error = status.error(),
                    alive = std::weak_ptr(alive_)] {
            if (!alive.expired()) finish(error);
        });
        return id;
    }
    const TimePoint now = loop_.now();
    if (pending_.empty()) {
        buffered_bytes_ = wire_.buffered_bytes();
        watch();
    }
    pending.began = now;
    pending.on_progress = options.on_progress;
    if (options.deadline > Duration::zero()) {
        pending.deadline = now + std::chrono::duration_cast<TimePoint::duration>(options.deadline);
    }
    const bool is_upload = pending.upload.has_value();
    const Header header{pending.type, {}, id};
    arm(id, pending_.emplace(id, std::move(pending)).first->second);
    arm_timer();
    if (is_upload) {
        uploads_.push_back(id);
    } else {
        queue(header, std::move(body));
    }
    pump_soon();
    return id;
}

void Requests::end(RequestId id, std::optional<Error> error) {
    const auto found = pending_.find(id);
    if (found == pending_.end()) return;
    deadlines_.erase({found->second.armed, id});
    const auto ended = pending_.extract(found);
    ended.mapped().finish(std::move(error));  // may drop this: nothing after it
}

/// Ends a request that the worker may still be at.
void Requests::give_up(RequestId id, Error error) {
    queue({MessageType::kCancel, {}, id}, {});
    pump_soon();
    end(id, std::move(error));
}

void Requests::cancel(RequestId id) {
    if (!pending_.contains(id)) return;
    loop_.post([this, id, alive = std::weak_ptr(alive_)] {
        if (alive.expired() || !pending_.contains(id)) return;
        give_up(id, make_error(ErrorCode::kCancelled, "cancelled"));
    });
}

void Requests::on_closed(const std::string& reason) {
    if (closed_) return;
    closed_ = reason;
    timer_.cancel();
    look_timer_.cancel();
    queue_.clear();
    uploads_.clear();
    const auto alive = std::weak_ptr(alive_);
    while (!alive.expired() && !pending_.empty()) {
        end(pending_.begin()->first,
            make_error(ErrorCode::kUnavailable, "the connection is lost: " + reason));
    }
}

void Requests::forget_all() {
    timer_.cancel();
    look_timer_.cancel();
    closed_ = "closed here";
    alive_.reset();
    // What is destroyed with them may ask for something: it finds the connection closed.
    const auto dropped = std::exchange(pending_, {});
    deadlines_.clear();
    queue_.clear();
    uploads_.clear();
}

std::uint64_t Requests::unsent_blob_bytes() const {
    std::uint64_t sum = 0;
    for (const auto& [id, pending] : pending_) {
        if (pending.upload) sum += pending.upload->bytes->size() - pending.upload->offset;
    }
    return sum;
}

// Receiving.

void Requests::on_message(ByteSpan bytes, bool binary) {
    if (closed_) return;
    if (!binary) return;
    const auto message = protocol::decode_message(bytes);
    if (!message) return;  // whose answer it was cannot be known: that one ends by its timeout
    const Header& header = message->header;
    // A request that is never answered ends, however well the worker is.
    if (header.request_id == probe_id_) return;
    heard_ = loop_.now();
    if (!header.flags.has(Flag::kResponse)) return refuse(header);
    const auto found = pending_.find(header.request_id);
    if (found == pending_.end()) return;  // the rest of what was cancelled or given up
    const auto last = take(found->second, *message);
    if (last && !*last) return;
    end(header.request_id, last ? std::nullopt : std::optional(last.error()));
}

Result<bool> Requests::take(Pending& pending, const Message& message) {
    Message opened = message;
    Bytes plain;
    const Flags flags = message.header.flags;
    if (message.header.type != protocol::answer_type(pending.type)) {
        return invalid("an answer of another type than its request");
    }
    if (flags.has(Flag::kEncrypted)) {
        if (!cipher_) return invalid("a sealed answer, and no key was agreed");
        auto result = cipher_->open(message.header, message.body);
        if (!result) return result.error();
        plain = std::move(*result);
        opened.body = plain;
    }
    if (!flags.has(Flag::kCompressed)) return take_unpacked(pending, opened);
    if (!inflater_) return invalid("a compressed answer, which was not agreed");
    constexpr std::size_t kMaxBodyBytes = protocol::kMaxMessageBytes - protocol::kHeaderBytes;
    const auto body = inflater_->unpack(opened.body, kMaxBodyBytes);
    if (!body) return body.error();
    return take_unpacked(pending, {opened.header, *body});
}

Result<bool> Requests::take_unpacked(Pending& pending, const Message& message) {
    if (message.header.flags.has(Flag::kError)) return refusal(message.body);
    return pending.take(message);
}

Error Requests::refusal(ByteSpan body) {
    const auto error = protocol::decode_error(body);
    if (!error) return error.error();
    if (error->retry_after_ms > 0) {
        // Advice, not an order: a worker cannot put us off for longer than this.
        constexpr std::chrono::milliseconds kLongest = std::chrono::minutes(1);
        const std::chrono::milliseconds advised(error->retry_after_ms);
        not_before_ = std::max(not_before_, loop_.now() + std::min(advised, kLongest));
    }
    return to_error(*error);
}

/// We serve nothing: every request of a worker's but CANCEL is answered so.
void Requests::refuse(const Header& header) {
    if (header.type == MessageType::kCancel || queued_bytes_ > kMaxRefusalBytes) return;
    queue({header.type, Flag::kResponse | Flag::kError, header.request_id},
          encoded(protocol::ErrorBody{WireError::kUnsupported, 0, "this side serves nothing"}));
    pump_soon();
}

// Sending.

void Requests::queue(const Header& header, Bytes body) {
    queued_bytes_ += body.size() + protocol::kHeaderBytes;
    queue_.push_back({header, std::move(body)});
}

void Requests::on_writable() {
    heard_ = loop_.now();  // the worker acknowledged something
    pump();
}

void Requests::pump_soon() {
    if (std::exchange(pump_posted_, true)) return;
    loop_.post([this, alive = std::weak_ptr(alive_)] {
        if (alive.expired()) return;
        pump_posted_ = false;
        pump();
    });
}

void Requests::pump() {
    if (closed_) return;
    for (int sent = 0; sent < kMaxFragmentsPerTurn; ++sent) {
        if (!send_queued()) return;
        while (!uploads_.empty() && !pending_.contains(uploads_.front())) uploads_.pop_front();
        if (uploads_.empty()) return;
        const RequestId id = uploads_.front();
        Pending& pending = pending_.at(id);
        if (!send_fragment(id, pending)) return;
        const Upload& upload = *pending.upload;
        const bool whole = upload.offset == upload.bytes->size();
        if (whole) uploads_.pop_front();
        const auto alive = std::weak_ptr(alive_);
        const auto on_progress = pending.on_progress;
        if (on_progress) on_progress(upload.offset);
        if (alive.expired() || closed_) return;
    }
    pump_soon();
}

/// False where the wire has no room.
bool Requests::send_queued() {
    if (!stuck_.empty()) {
        if (!wire_.send(stuck_, {})) return false;
        stuck_.clear();
    }
    while (!queue_.empty()) {
        const Queued& next = queue_.front();
        if (!send(next.header, {}, next.body)) return false;
        queued_bytes_ -= next.body.size() + protocol::kHeaderBytes;
        queue_.pop_front();
        if (!stuck_.empty()) return false;
    }
    return true;
}

Status Requests::send_fragment(RequestId id, Pending& pending) {
    Upload& upload = *pending.upload;
    std::array<std::uint8_t, protocol::kStoreHeadBytes> head{};
    const std::size_t overhead = head.size() + (cipher_ ? cipher_->overhead_bytes() : 0);
    const std::size_t room = std::min(kFragmentDataBytes, wire_.max_message_bytes() - overhead);
    const auto total = static_cast<std::uint32_t>(upload.bytes->size());
    const ByteSpan data = upload.bytes->span().subspan(
        upload.offset, std::min<std::size_t>(room, total - upload.offset));
    const bool last = upload.offset + data.size() == total;
    const Flags flags = last ? Flags() : Flags(Flag::kMore);
    const auto store_head = std::span<std::uint8_t, protocol::kStoreHeadBytes>(head);
    protocol::encode_chunk_store_head(store_head, id, flags, ChunkId(upload.name), total,
                                      upload.offset);
    const ByteSpan place = ByteSpan(head).subspan(protocol::kHeaderBytes);
    if (deflater_ && upload.packed_data_bytes != data.size()) {
        const ByteSpan packed = deflater_->pack(place, data, upload.trial);
        upload.packed.assign(packed.begin(), packed.end());
        upload.packed_data_bytes = static_cast<std::uint32_t>(data.size());
    }
    const Status sent = upload.packed.empty() ? send({pending.type, flags, id}, place, data)
                                              : send({pending.type, flags | Flag::kCompressed, id},
                                                     {}, upload.packed);
    if (sent) {
        upload.offset += static_cast<std::uint32_t>(data.size());
        upload.packed.clear();
        upload.packed_data_bytes = 0;
    }
    return sent;
}

/// One message: `head` and `body` joined are its body.
Status Requests::send(Header header, ByteSpan head, ByteSpan body) {
    if (!cipher_) {
        std::array<std::uint8_t, protocol::kStoreHeadBytes> front{};
        const auto encoded_header = protocol::encode_header(header);
        KOLLATOR_CHECK(encoded_header.size() + head.size() <= front.size());
        const auto rest = std::copy(encoded_header.begin(), encoded_header.end(), front.begin());
        std::copy(head.begin(), head.end(), rest);
        return wire_.send(ByteSpan(front).first(encoded_header.size() + head.size()), body);
    }
    if (!stuck_.empty()) return make_error(ErrorCode::kLimit, "a sealed message waits");
    header.flags = header.flags | Flag::kEncrypted;
    Bytes plain(head.begin(), head.end());
    plain.insert(plain.end(), body.begin(), body.end());
    auto sealed = cipher_->seal(header, plain);
    if (!sealed) return sealed.error();
    const auto encoded_header = protocol::encode_header(header);
    const Status sent = wire_.send(encoded_header, *sealed);
    if (!sent && sent.error().code == ErrorCode::kLimit) {
        // Its counter is used up: it goes as it is, before all others.
        stuck_.assign(encoded_header.begin(), encoded_header.end());
        stuck_.insert(stuck_.end(), sealed->begin(), sealed->end());
        return {};
    }
    return sent;
}

// Time.

void Requests::arm(RequestId id, Pending& pending) {
    const TimePoint silent =
        std::max(pending.began, heard_) +
        std::chrono::duration_cast<TimePoint::duration>(limits_.silence_timeout);
    pending.armed = pending.deadline ? std::min(*pending.deadline, silent) : silent;
    deadlines_.emplace(pending.armed, id);
}

void Requests::arm_timer() {
    if (deadlines_.empty()) return timer_.cancel();
    timer_.start_at(deadlines_.begin()->first, [this] { on_timer(); });
}

void Requests::on_timer() {
    const TimePoint now = loop_.now();
    const std::size_t buffered = wire_.buffered_bytes();
    if (buffered < buffered_bytes_) heard_ = now;
    buffered_bytes_ = buffered;
    const auto alive = std::weak_ptr(alive_);
    while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
        const RequestId id = deadlines_.begin()->second;
        deadlines_.erase(deadlines_.begin());
        Pending& pending = pending_.at(id);
        arm(id, pending);
        if (pending.armed > now) continue;
        const bool late = pending.deadline && *pending.deadline <= now;
        give_up(id, make_error(ErrorCode::kTimeout, late ? "no whole answer in the time allowed"
                                                         : "the worker does not answer"));
        if (alive.expired()) return;
    }
    arm_timer();
}

void Requests::watch() {
    if (limits_.liveness.tick <= Duration::zero()) return;
    liveness_.begin(loop_.now(), wire_.signs_of_life());
    look_timer_.start_after(limits_.liveness.tick, [this] { look(); });
}

void Requests::look() {
    if (closed_ || pending_.empty()) return;
    look_timer_.start_after(limits_.liveness.tick, [this] { look(); });
    const Liveness::Step step = liveness_.look(loop_.now(), wire_.signs_of_life());
    if (step == Liveness::Step::kProbe) {
        // As a request that nobody waits for: what counts is that something comes.
        probe_id_ = next_id();
        queue({MessageType::kHello, {}, *probe_id_}, hello_);
        pump_soon();
    }
    const auto tell = step == Liveness::Step::kLost ? on_silent_ : nullptr;
    if (tell) tell();
}

}  // namespace kollator::peer
