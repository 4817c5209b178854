// CHUNK_STORE and METADATA_STORE: fragments come in, are put together, and handed to the service.
#include <fmt/format.h>

#include <utility>

#include "session/session.h"

namespace kollator::session {

using protocol::Flag;
using protocol::Header;
using protocol::MessageType;
using protocol::WireError;

/// A fragment of either kind.
struct Session::StorePart {
    MessageType type{};
    RefusedUploads::Name name{};
    std::uint32_t total = 0;
    std::uint32_t offset = 0;
    ByteSpan data;
    bool last = false;
};

template <typename Id>
void Session::on_store(const RequestKey& key, const Header& header,
                       const Result<protocol::StoreFragment<Id>>& fragment) {
    Request* active = find(key);
    const auto* assembling = active ? std::get_if<Assembling>(&active->state) : nullptr;
    if (!fragment.ok()) {
        if (assembling != nullptr && active->type == header.type) {
            note_malformed();
            return abandon_upload(key, *active, {WireError::kBadRequest, fragment.error().detail});
        }
        ignore_unread(key, header);
        return refuse_malformed(key, header.type, fragment.error().detail);
    }
    const StorePart part{header.type,      fragment->id.bytes(), fragment->total,
                         fragment->offset, fragment->data,       !header.flags.has(Flag::kMore)};
    if (assembling != nullptr && active->type == part.type && assembling->name == part.name) {
        return add_to_upload(key, *active, part);
    }
    const bool ends_upload = part.last && ordered(key.channel);
    if (refused_.swallow(key, {part.name, part.total, part.data.size(), ends_upload})) return;
    begin_upload(key, part);
}

template void Session::on_store(const RequestKey&, const Header&,
                                const Result<protocol::ChunkStore>&);
template void Session::on_store(const RequestKey&, const Header&,
                                const Result<protocol::MetadataStore>&);

void Session::begin_upload(const RequestKey& key, const StorePart& part) {
    context_.count_request(part.type);
    if (find(key) != nullptr) {
        note_malformed();
        return refuse_upload(key, part, {WireError::kBadRequest, "the request id is in use"});
    }
    const std::uint32_t max_bytes = part.type == MessageType::kChunkStore
                                        ? context_.chunks().max_chunk_bytes()
                                        : context_.chunks().max_metadata_bytes();
    if (part.total > max_bytes) {
        return refuse_upload(key, part,
                             {WireError::kTooLarge, fmt::format("over {} bytes", max_bytes)});
    }
    if (requests_.size() >= max_active_requests()) {
        return refuse_upload(key, part, {WireError::kBusy, "too many requests in flight"});
    }
    if (upload_bytes_ + part.total > limits_.max_upload_bytes) {
        return refuse_upload(key, part, {WireError::kBusy, "too many bytes in uploads"});
    }
    Result<std::shared_ptr<Buffer>> buffer = context_.chunks().allocate(part.total);
    if (!buffer.ok()) {
        const Fault fault = buffer.error().code == ErrorCode::kInvalid
                                ? Fault{WireError::kTooLarge, buffer.error().detail}
                                : to_fault(buffer.error());
        return refuse_upload(key, part, fault);
    }
    Request& request = insert(key, part.type);
    request.upload_bytes = part.total;
    upload_bytes_ += part.total;
    request.state = Assembling{part.name, Upload(std::move(buffer).value()), context_.now()};
    add_to_upload(key, request, part);
}

/// REQUIRES: the request is assembling the upload that `part` names.
void Session::add_to_upload(const RequestKey& key, Request& request, const StorePart& part) {
    auto& assembling = std::get<Assembling>(request.state);
    Upload& upload = assembling.upload;
    Status added;
    if (part.total != upload.total_bytes()) {
        added = make_error(ErrorCode::kInvalid, fmt::format("the total was {}, and now is {}",
                                                            upload.total_bytes(), part.total));
    } else {
        added = upload.add(part.offset, part.data, part.last);
    }
    const bool nothing_follows = upload.last_seen() && ordered(key.channel);
    if (added.ok() && nothing_follows && !upload.complete()) {
        added = make_error(ErrorCode::kInvalid,
                           fmt::format("the last of {} bytes came after {}", upload.total_bytes(),
                                       upload.received_bytes()));
    }
    if (!added.ok()) {
        note_malformed();
        return abandon_upload(key, request, {WireError::kBadRequest, added.error().detail});
    }
    assembling.last_progress = context_.now();
    if (upload.complete()) store(key, request);
}

/// REQUIRES: the request's upload is complete.
void Session::store(const RequestKey& key, Request& request) {
    auto& assembling = std::get<Assembling>(request.state);
    const RefusedUploads::Name name = assembling.name;
    SharedBuffer bytes = assembling.upload.take();
    request.state = Storing{};
    const MessageType type = request.type;
    auto on_stored = guarded(
        key, request.serial,
        [key, type](Session& session, Request&, const Result<chunk::StoreOutcome>& outcome) {
            if (!outcome.ok()) {
                session.fail(key, outcome.error());
            } else {
                session.context_.count_stored();
                const protocol::StoreAnswer stored{
                    outcome->already_there ? protocol::StoreStatus::kAlreadyThere
                                           : protocol::StoreStatus::kStored,
                    outcome->durability == chunk::Durability::kJournaled
                        ? protocol::StoreDurability::kJournaled
                        : protocol::StoreDurability::kObjectStore};
                const Header header{type, Flag::kResponse, key.id};
                session.answer(key, protocol::encode_message(header, stored));
            }
            session.pump();
        });
    if (type == MessageType::kChunkStore) {
        context_.chunks().store(ChunkId(name), std::move(bytes), std::move(on_stored));
    } else {
        context_.chunks().store(MetadataId(name), std::move(bytes), std::move(on_stored));
    }
}

/// Refuses an upload at its first fragment.
void Session::refuse_upload(const RequestKey& key, const StorePart& part, const Fault& fault) {
    const auto left_bytes = static_cast<std::uint32_t>(part.total - part.data.size());
    const bool over = left_bytes == 0 || (part.last && ordered(key.channel));
    if (!over) refused_.add(key, {part.name, part.total, left_bytes}, context_.now());
    refuse(key, part.type, fault);
}

/// REQUIRES: the request is assembling.
void Session::abandon_upload(const RequestKey& key, const Request& request, const Fault& fault) {
    const auto& assembling = std::get<Assembling>(request.state);
    const Upload& upload = assembling.upload;
    const std::uint32_t left_bytes = upload.total_bytes() - upload.received_bytes();
    const bool over = left_bytes == 0 || (upload.last_seen() && ordered(key.channel));
    if (!over) {
        refused_.add(key, {assembling.name, upload.total_bytes(), left_bytes}, context_.now());
    }
    fail(key, fault);
}

/// After a fragment that could not be read: what follows it is ignored as well.
void Session::ignore_unread(const RequestKey& key, const Header& header) {
    if (header.flags.has(Flag::kMore)) refused_.add(key, {}, context_.now());
}

bool Session::ordered(ChannelHandle channel) {
    return outgoing_.channel(channel)->ordered();
}

}  // namespace kollator::session
