// The requests that are one message, and their answers.

#include <algorithm>
#include <type_traits>
#include <utility>

#include "protocol/catalog.h"
#include "session/session.h"

namespace kollator::session {

using protocol::Flag;
using protocol::Header;
using protocol::MessageType;
using protocol::WireError;

namespace {

protocol::StatResidency to_wire(chunk::Residency residency) {
    switch (residency) {
        case chunk::Residency::kNotStored:
            return protocol::StatResidency::kNotStored;
        case chunk::Residency::kObjectStore:
            return protocol::StatResidency::kObjectStore;
        case chunk::Residency::kCachedHere:
            return protocol::StatResidency::kCachedHere;
        case chunk::Residency::kFellow:
            return protocol::StatResidency::kFellow;
        case chunk::Residency::kUnknown:
            break;
    }
    return protocol::StatResidency::kUnknown;
}

Header answer_header(MessageType type, const RequestKey& key) {
    return {protocol::answer_type(type), Flag::kResponse, key.id};
}

}  // namespace

void Session::on_hello(const RequestKey& key, ByteSpan body) {
    Result<protocol::Hello> hello = protocol::decode_hello(body);
    if (!hello.ok()) return refuse_malformed(key, MessageType::kHello, hello.error().detail);
    if (hello->version != protocol::kVersion) {
        return refuse(key, MessageType::kHello,
                      {WireError::kUnsupported, "only version 1 is spoken here"});
    }
    const protocol::Hello own{.version = protocol::kVersion,
                              .role = protocol::Role::kWorker,
                              .id = context_.services().worker_id,
                              .accept = {protocol::kDeflateRaw},
                              .agent = context_.services().agent,
                              .max_chunk_bytes = context_.chunks().max_chunk_bytes(),
                              .features = context_.services().features};
    Bytes message = protocol::encode_message(answer_header(MessageType::kHello, key), own);
    if (admit(key, MessageType::kHello, message.size()) == nullptr) return;
    hello_ = std::move(hello).value();
    greeted_.insert(key.channel);
    const bool accepts =
        std::count(hello_->accept.begin(), hello_->accept.end(), protocol::kDeflateRaw) > 0;
    outgoing_.compress(key.channel, accepts ? &context_.deflater() : nullptr);
    answer(key, std::move(message));
}

template <typename Id>
void Session::on_blob_request(const RequestKey& key, MessageType type,
                              const Result<protocol::BlobRequest<Id>>& request) {
    if (!request.ok()) return refuse_malformed(key, type, request.error().detail);
    Request* admitted = admit(key, type, 0);
    if (admitted == nullptr) return;
    auto on_ready = guarded(key, admitted->serial, [key](Session& session, Request& waiting) {
        auto* reading = std::get_if<Reading>(&waiting.state);
        if (reading == nullptr) return;
        session.outgoing_.ready(key, *reading->download);
        session.pump_soon();
    });
    auto reader = open_blob(*request, std::move(on_ready));
    auto download =
        std::make_unique<Download>(protocol::answer_type(type), key.id, std::move(reader));
    outgoing_.ready(key, *download);
    admitted->state = Reading{std::move(download)};
}

std::unique_ptr<chunk::Reader> Session::open_blob(const protocol::ChunkRequest& request,
                                                  std::function<void()> on_ready) {
    chunk::ChunkService& chunks = context_.chunks();
    if (!fellow_id_.empty()) {  // it asks for many readers: what comes next says nothing
        return chunks.open_for_fellow(request.id, request.offset, request.length,
                                      std::move(on_ready));
    }
    chunks.reader_at(number_, request.id);
    return chunks.open(request.id, request.offset, request.length, std::move(on_ready));
}

std::unique_ptr<chunk::Reader> Session::open_blob(const protocol::MetadataRequest& request,
                                                  std::function<void()> on_ready) {
    return context_.chunks().open(request.id, request.offset, request.length, std::move(on_ready));
}

template void Session::on_blob_request(const RequestKey&, MessageType,
                                       const Result<protocol::ChunkRequest>&);
template void Session::on_blob_request(const RequestKey&, MessageType,
                                       const Result<protocol::MetadataRequest>&);

void Session::on_list(const RequestKey& key, ByteSpan body) {
    const Result<protocol::ListRequest> request = protocol::decode_list_request(body);
    if (!request.ok()) {
        return refuse_malformed(key, MessageType::kChunkList, request.error().detail);
    }
    const std::size_t room = outgoing_.max_message_bytes(key.channel) - protocol::kHeaderBytes -
                             protocol::kListHeadBytes;
    const std::size_t wanted = request->limit == 0 ? protocol::kDefaultListLimit : request->limit;
    const std::size_t limit =
        std::min({wanted, limits_.max_list_entries, room / protocol::kListEntryBytes});
    const std::size_t answer_bytes =
        protocol::kHeaderBytes + protocol::kListHeadBytes + limit * protocol::kListEntryBytes;
    Request* admitted = admit(key, MessageType::kChunkList, answer_bytes);
    if (admitted == nullptr) return;
    if (request->scope == protocol::ListScope::kCachedHere) {
        answer_page(key, limit, context_.chunks().list_cached(request->after, limit));
        return;
    }
    auto on_page = guarded(
        key, admitted->serial,
        [key, limit](Session& session, Request& asking, const Result<chunk::ChunkPage>& page) {
            if (!std::holds_alternative<Asking>(asking.state)) return;
            if (page.ok()) {
                session.answer_page(key, limit, *page);
            } else {
                session.fail(key, page.error());
            }
            session.pump();
        });
    context_.chunks().list_stored(request->after, limit, std::move(on_page));
}

void Session::answer_page(const RequestKey& key, std::size_t limit, const chunk::ChunkPage& page) {
    protocol::ListAnswer list;
    const std::size_t count = std::min(limit, page.entries.size());
    list.more = page.more || count < page.entries.size();
    list.entries.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        list.entries.push_back({page.entries[i].id, page.entries[i].size_bytes});
    }
    answer(key, protocol::encode_message(answer_header(MessageType::kChunkList, key), list));
}

void Session::on_stat(const RequestKey& key, ByteSpan body) {
    Result<protocol::StatRequest> request = protocol::decode_stat_request(body);
    if (!request.ok()) {
        return refuse_malformed(key, MessageType::kChunkStat, request.error().detail);
    }
    const std::size_t count = request->ids.size();
    const std::size_t answer_bytes = protocol::kHeaderBytes + count * protocol::kStatEntryBytes;
    if (answer_bytes > outgoing_.max_message_bytes(key.channel)) {
        return refuse(key, MessageType::kChunkStat,
                      {WireError::kTooLarge, "the answer is over your message size"});
    }
    Request* admitted = admit(key, MessageType::kChunkStat, answer_bytes);
    if (admitted == nullptr) return;
    if (request->known_only) {
        return answer_stats(key, context_.chunks().stat_known(request->ids));
    }
    auto on_stats = guarded(
        key, admitted->serial,
        [key, count](Session& session, Request& asking,
                     const std::vector<chunk::ChunkStat>& stats) {
            if (!std::holds_alternative<Asking>(asking.state)) return;
            if (stats.size() != count) {
                session.fail(key, make_error(ErrorCode::kInternal, "stat of another length"));
            } else {
                session.answer_stats(key, stats);
            }
            session.pump();
        });
    context_.chunks().stat(std::move(request->ids), std::move(on_stats));
}

void Session::answer_stats(const RequestKey& key, const std::vector<chunk::ChunkStat>& stats) {
    protocol::StatAnswer stat;
    stat.entries.reserve(stats.size());
    for (const chunk::ChunkStat& entry : stats) {
        stat.entries.push_back({entry.size_bytes, to_wire(entry.residency)});
    }
    answer(key, protocol::encode_message(answer_header(MessageType::kChunkStat, key), stat));
}

void Session::on_health(const RequestKey& key, ByteSpan body) {
    if (!body.empty()) {
        return refuse_malformed(key, MessageType::kHealthCheck, "HEALTH_CHECK has no body");
    }
    const auto& health = context_.services().health;
    const std::string document = health ? health() : "{}";
    Bytes message = protocol::encode_message(answer_header(MessageType::kHealthCheck, key));
    message.insert(message.end(), document.begin(), document.end());
    if (admit(key, MessageType::kHealthCheck, message.size()) == nullptr) return;
    answer(key, std::move(message));
}

/// protocol.md 2.2: "the cancelled request ends with ERROR CANCELLED, or with its answer where that
/// was already on its way". A cancel that names nothing active came too late, and has no answer.
void Session::on_cancel(const RequestKey& key, ByteSpan body) {
    if (!body.empty()) return refuse_malformed(key, MessageType::kCancel, "CANCEL has no body");
    const Request* request = find(key);
    if (request == nullptr) return;
    const Fault cancelled{WireError::kCancelled, "cancelled"};
    if (std::holds_alternative<Assembling>(request->state)) {
        abandon_upload(key, *request, cancelled);
    } else if (std::holds_alternative<Reading>(request->state) ||
               std::holds_alternative<Asking>(request->state)) {
        fail(key, cancelled);
    }
}

}  // namespace kollator::session
