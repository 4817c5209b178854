#include "session/session.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/log.h"

namespace kollator::session {

using protocol::Flag;
using protocol::Header;
using protocol::MessageType;
using protocol::WireError;

namespace {

const log::Logger kLog("session");

bool is_store(MessageType type) {
    return type == MessageType::kChunkStore || type == MessageType::kMetadataStore;
}

}  // namespace

Session::Session(SessionContext& context, SessionOptions options)
    : context_(context),
      options_(std::move(options)),
      limits_(context.limits()),
      refused_(limits_.max_refused_uploads, limits_.refused_upload_memory),
      announces_(static_cast<double>(limits_.announce_burst), limits_.announces_per_second),
      lookups_(limits_.lookup_burst, limits_.lookups_per_second),
      outgoing_(limits_, *this),
      alive_(std::make_shared<Session*>(this)) {
    number_ = context_.enter(*this);
}

Session::~Session() {
    alive_.reset();
    context_.chunks().reader_left(number_);
    context_.count_active(-static_cast<int>(requests_.size()));
    if (!fellow_id_.empty()) context_.count_fellows(-1);
    context_.leave(*this);
}

Result<ChannelHandle> Session::add_channel(std::unique_ptr<SessionTransport> transport) {
    if (outgoing_.channels() >= limits_.max_channels) {
        return make_error(ErrorCode::kLimit, "too many channels");
    }
    if (transport->max_message_bytes() < kMinMessageBytes) {
        return make_error(ErrorCode::kInvalid, "the peer's max-message-size is too small");
    }
    const ChannelHandle handle{next_channel_++};
    outgoing_.add_channel(handle, std::move(transport));
    return handle;
}

void Session::on_message(ChannelHandle channel, ByteSpan message, bool binary) {
    if (closing_ || outgoing_.channel(channel) == nullptr) return;
    context_.count_received(message.size());
    if (binary) {
        receive(channel, message);
    } else {
        note_malformed();  // protocol.md 2: "Only binary messages are valid"; it names no request
    }
    pump();
}

void Session::on_writable(ChannelHandle channel) {
    if (outgoing_.channel(channel) == nullptr) return;
    outgoing_.writable();
    pump();
}

void Session::on_close(ChannelHandle channel) {
    std::vector<RequestKey> ended;
    for (const auto& [key, request] : requests_) {
        if (key.channel == channel) ended.push_back(key);
    }
    for (const RequestKey& key : ended) erase(key);
    refused_.forget_channel(channel);
    authenticated_.erase(channel);
    greeted_.erase(channel);
    outgoing_.remove_channel(channel);
}

void Session::sweep() {
    const TimePoint now = context_.now();
    refused_.expire(now);
    std::vector<RequestKey> late;
    for (const auto& [key, request] : requests_) {
        const auto* assembling = std::get_if<Assembling>(&request.state);
        if (assembling == nullptr) continue;
        const bool stalled = now - assembling->last_progress >= limits_.upload_timeout;
        if (stalled || now - request.began >= limits_.upload_deadline) late.push_back(key);
    }
    for (const RequestKey& key : late) {
        abandon_upload(key, requests_.at(key), {WireError::kBusy, "the upload took too long"});
    }
    if (!late.empty()) pump();
}

SessionInfo Session::info() const {
    return {outgoing_.channels(), requests_.size(), upload_bytes_, hello_, fellow_id_};
}

void Session::receive(ChannelHandle channel, ByteSpan bytes) {
    const Result<protocol::Message> message = protocol::decode_message(bytes);
    if (message.ok() && !message->header.flags.has(Flag::kResponse)) {
        if (message->header.flags.has(Flag::kEncrypted) && authenticated_.contains(channel)) {
            receive_sealed(channel, *message);
        } else {
            dispatch(channel, *message);
        }
        return;
    }
    const auto header = protocol::peek_header(bytes);
    // An answer is never answered, not even by an error: nothing was asked, and two sessions at the
    // two ends would go on telling each other so.
    if (!header || header->flags.has(Flag::kResponse)) {
        note_malformed();
        return;
    }
    refuse_malformed({channel, header->request_id}, header->type, message.error().detail);
}

/// REQUIRES: the message is a request.
void Session::dispatch(ChannelHandle channel, const protocol::Message& message) {
    const Header& header = message.header;
    const RequestKey key{channel, header.request_id};
    const bool packed = header.flags.has(Flag::kCompressed) && !header.flags.has(Flag::kEncrypted);
    if (packed && greeted_.contains(channel)) return receive_packed(channel, message);
    // Uploads are counted when they begin, not for each fragment; CANCEL is no request.
    if (!is_store(header.type) && header.type != MessageType::kCancel) {
        context_.count_request(header.type);
    }
    if (refuse_unsupported(channel, message)) return;
    if (header.flags.has(Flag::kMore) && !is_store(header.type)) {
        refuse_malformed(key, header.type, "MORE in a request that is not sent in fragments");
        return;
    }
    switch (header.type) {
        case MessageType::kHello:
            return on_hello(key, message.body);
        case MessageType::kChunkRequest:
            return on_blob_request(key, header.type, protocol::decode_chunk_request(message.body));
        case MessageType::kMetadataRequest:
            return on_blob_request(key, header.type,
                                   protocol::decode_metadata_request(message.body));
        case MessageType::kChunkStore:
            return on_store(key, header, protocol::decode_chunk_store(message.body));
        case MessageType::kMetadataStore:
            return on_store(key, header, protocol::decode_metadata_store(message.body));
        case MessageType::kChunkList:
            return on_list(key, message.body);
        case MessageType::kChunkStat:
            return on_stat(key, message.body);
        case MessageType::kHealthCheck:
            return on_health(key, message.body);
        case MessageType::kCancel:
            return on_cancel(key, message.body);
        case MessageType::kAuth:
            return on_auth(key, message.body);
        case MessageType::kDhtAnnounce:
            return on_announce(key, message.body);
        case MessageType::kDhtLookup:
            return on_lookup(key, message.body);
        case MessageType::kChunkResponse:  // decode_message() refused it
            break;
    }
}

/// What inflates is dispatched as if it had come so. Never more than a message's bytes: 0.3 ms.
void Session::receive_packed(ChannelHandle channel, const protocol::Message& message) {
    constexpr std::size_t kMaxBodyBytes = protocol::kMaxMessageBytes - protocol::kHeaderBytes;
    Header header = message.header;
    header.flags = header.flags.without(Flag::kCompressed);
    const RequestKey key{channel, header.request_id};
    const auto body = context_.inflater().unpack(message.body, kMaxBodyBytes);
    if (body) return dispatch(channel, {header, *body});
    if (header.type == MessageType::kChunkStore) {
        return on_store(key, header, Result<protocol::ChunkStore>(body.error()));
    }
    if (header.type == MessageType::kMetadataStore) {
        return on_store(key, header, Result<protocol::MetadataStore>(body.error()));
    }
    refuse_malformed(key, header.type, body.error().detail);
}

/// True where the message was refused because this worker does not do what it asks for.
bool Session::refuse_unsupported(ChannelHandle channel, const protocol::Message& message) {
    const Header& header = message.header;
    const RequestKey key{channel, header.request_id};
    if (header.flags.has(Flag::kEncrypted) || header.flags.has(Flag::kCompressed)) {
        const bool ends_upload = !header.flags.has(Flag::kMore) && ordered(channel);
        if (is_store(header.type)) {
            if (refused_.swallow(key, {std::nullopt, 0, 0, ends_upload})) return true;
            ignore_unread(key, header);
        }
        // protocol.md 2.2: without HELLO nothing is agreed; 2.4: nor is a key.
        const char* what = header.flags.has(Flag::kEncrypted)
                               ? "no key is agreed"
                               : "no compression is agreed: HELLO comes first";
        refuse(key, header.type, {WireError::kUnsupported, what});
        return true;
    }
    const bool of_the_dht =
        header.type == MessageType::kDhtAnnounce || header.type == MessageType::kDhtLookup;
    if (of_the_dht && context_.services().discovery == nullptr) {
        refuse(key, header.type, {WireError::kUnsupported, "this worker is not in the DHT"});
        return true;
    }
    if (protocol::is_known(header.type)) return false;
    refuse(key, header.type,
           {WireError::kUnsupported,
            fmt::format("type {} is not supported", static_cast<unsigned>(header.type))});
    return true;
}

void Session::note_malformed() {
    context_.count_malformed();
    const TimePoint now = context_.now();
    while (!malformed_.empty() && now - malformed_.front() >= limits_.malformed_window) {
        malformed_.pop_front();
    }
    malformed_.push_back(now);
    // protocol.md 2.4: "ends the connection only when it repeats (more than 16 in 10 s)"
    if (malformed_.size() > limits_.max_malformed) close_connection("malformed messages");
}

void Session::close_connection(const std::string& reason) {
    if (closing_) return;
    closing_ = true;
    kLog.info("closing session={} peer={} reason=\"{}\"", number_, options_.label, reason);
    // A copy of the function: its owner may destroy the session from within it.
    context_.services().loop.post(
        [alive = std::weak_ptr<Session*>(alive_), close = options_.close_connection, reason] {
            if (!alive.expired() && close) close(reason);
        });
}

void Session::pump() {
    if (!closing_ && outgoing_.pump()) pump_soon();
}

/// From callbacks of readers: pumping there could destroy the reader that is calling.
void Session::pump_soon() {
    if (std::exchange(pump_posted_, true)) return;
    context_.services().loop.post([alive = std::weak_ptr<Session*>(alive_)] {
        const std::shared_ptr<Session*> session = alive.lock();
        if (!session) return;
        (*session)->pump_posted_ = false;
        (*session)->pump();
    });
}

Session::Request* Session::find(const RequestKey& key) {
    const auto found = requests_.find(key);
    return found == requests_.end() ? nullptr : &found->second;
}

Session::Request* Session::find(const RequestKey& key, std::uint64_t serial) {
    Request* request = find(key);
    return request != nullptr && request->serial == serial ? request : nullptr;
}

Session::Request* Session::admit(const RequestKey& key, MessageType type,
                                 std::size_t answer_bytes) {
    if (find(key) != nullptr) {
        refuse_malformed(key, type, "the request id is in use");
        return nullptr;
    }
    if (requests_.size() >= max_active_requests()) {
        refuse(key, type, {WireError::kBusy, "too many requests in flight"});
        return nullptr;
    }
    if (answer_bytes > limits_.max_answer_bytes - answer_bytes_) {
        refuse(key, type, {WireError::kBusy, "too many answers wait to be taken"});
        return nullptr;
    }
    Request& request = insert(key, type);
    request.answer_bytes = answer_bytes;
    answer_bytes_ += answer_bytes;
    return &request;
}

/// REQUIRES: no request of that key, and room for one.
Session::Request& Session::insert(const RequestKey& key, MessageType type) {
    Request& request = requests_[key];
    request.type = type;
    request.serial = next_serial_++;
    request.began = context_.now();
    context_.count_active(+1);
    return request;
}

void Session::erase(const RequestKey& key) {
    const auto found = requests_.find(key);
    if (found == requests_.end()) return;
    const auto took =
        std::chrono::duration_cast<std::chrono::milliseconds>(context_.now() - found->second.began);
    kLog.debug("event=request-ended session={} request={} type={} ms={}", number_,
               protocol::to_number(key.id), protocol::to_string(found->second.type), took.count());
    outgoing_.remove(key);
    answer_bytes_ -= found->second.answer_bytes;
    upload_bytes_ -= found->second.upload_bytes;
    requests_.erase(found);
    context_.count_active(-1);
}

/// The request stays active until the transport has taken its answer, so that one who does not read
/// is refused more. REQUIRES: `key` is active.
void Session::answer(const RequestKey& key, Bytes message) {
    Request& request = requests_.at(key);
    if (message.size() > outgoing_.max_message_bytes(key.channel)) {
        message = error_message(key, request.type,
                                {WireError::kTooLarge, "the answer is over your message size"});
    }
    outgoing_.remove(key);
    upload_bytes_ -= std::exchange(request.upload_bytes, 0);
    request.state = Answering{};
    outgoing_.answer(key.channel, std::move(message), key);
}

void Session::fail(const RequestKey& key, const Fault& fault) {
    answer(key, error_message(key, requests_.at(key).type, fault));
}

void Session::fail(const RequestKey& key, const Error& error) {
    const Fault fault = to_fault(error);
    const MessageType type = requests_.at(key).type;
    if (fault.code == WireError::kInternal) {
        kLog.error("request failed session={} peer={} request={} type={} detail=\"{}\"", number_,
                   options_.label, protocol::to_number(key.id), protocol::to_string(type),
                   error.detail);
    } else {
        kLog.debug("request failed session={} request={} type={} code={} detail=\"{}\"", number_,
                   protocol::to_number(key.id), protocol::to_string(type),
                   protocol::to_string(fault.code), error.detail);
    }
    fail(key, fault);
}

void Session::refuse(const RequestKey& key, MessageType type, const Fault& fault) {
    outgoing_.answer(key.channel, error_message(key, type, fault), std::nullopt);
    if (outgoing_.refusal_bytes() > limits_.max_refusal_bytes) {
        close_connection("asks without reading the answers");
    }
}

void Session::refuse_malformed(const RequestKey& key, MessageType type, std::string text) {
    kLog.debug("malformed message session={} request={} detail=\"{}\"", number_,
               protocol::to_number(key.id), text);
    refuse(key, type, {WireError::kBadRequest, std::move(text)});
    note_malformed();
}

Bytes Session::error_message(const RequestKey& key, MessageType type, const Fault& fault) {
    context_.count_error(fault.code);
    const Header header{protocol::answer_type(type), Flag::kResponse | Flag::kError, key.id};
    const auto wait = fault.retry_after.count() > 0 ? fault.retry_after : limits_.retry_after;
    const auto advice = static_cast<std::uint32_t>(wait.count());
    // The wire wants UTF-8: an overlong text is cut where a character begins.
    std::size_t size = std::min(fault.text.size(), kMaxErrorTextBytes);
    while (size < fault.text.size() && size > 0 && (fault.text[size] & 0xC0) == 0x80) --size;
    const std::string_view text(fault.text.data(), size);
    return protocol::encode_message(
        header, protocol::ErrorBody{fault.code, advises_retry(fault.code) ? advice : 0, text});
}

void Session::on_answer_sent(const RequestKey& key) {
    const Request* request = find(key);
    if (request != nullptr && request->type == MessageType::kAuth) seal_answers(key.channel);
    erase(key);
}

void Session::on_fragment_sent(const RequestKey& key, bool first, bool last) {
    if (first) context_.count_first_fragment(context_.now() - requests_.at(key).began);
    if (!last) return;
    context_.count_served();
    erase(key);
}

void Session::on_download_failed(const RequestKey& key, const Error& error) {
    fail(key, error);
}

void Session::on_sent(std::size_t bytes) {
    context_.count_sent(bytes);
}

std::unique_ptr<Session> make_session(SessionContext& context, SessionOptions options) {
    return std::make_unique<Session>(context, std::move(options));
}

}  // namespace kollator::session
