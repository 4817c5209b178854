#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "crypto/hash.h"
#include "peer/request_parts.h"
#include "peer/requests.h"

// The requests that carry chunks and metadata.
namespace kollator::peer {

using protocol::Flag;
using protocol::Message;
using protocol::MessageType;

namespace {

/// Puts a blob together from fragments that come in order.
class Assembly {
 public:
    Assembly(std::uint32_t max_bytes, bool hashes) : max_bytes_(max_bytes), hashes_(hashes) {}

    Status add(const protocol::ResponseFragment& fragment) {
        if (!buffer_) {
            if (fragment.total == 0 || fragment.total > max_bytes_) {
                return invalid(fmt::format("a blob of {} bytes, where {} at most were asked for",
                                           fragment.total, max_bytes_));
            }
            buffer_ = std::make_shared<Buffer>(fragment.total);
        }
        if (fragment.offset != received_ || fragment.total != buffer_->size()) {
            return invalid("fragments that do not follow each other");
        }
        std::memcpy(buffer_->data() + received_, fragment.data.data(), fragment.data.size());
        received_ += fragment.data.size();
        if (hashes_) hash_.update(fragment.data);
        return {};
    }
    Result<SharedBuffer> take(const std::optional<ChunkId>& name) {
        if (!buffer_ || received_ != buffer_->size()) return invalid("an answer that is cut short");
        if (name && ChunkId(hash_.finish()) != *name) {
            return make_error(ErrorCode::kCorrupt,
                              "the worker sent bytes that do not match the name " + name->hex());
        }
        return SharedBuffer(std::move(buffer_));
    }

 private:
    const std::uint32_t max_bytes_;
    const bool hashes_;
    std::shared_ptr<Buffer> buffer_;
    std::size_t received_ = 0;
    crypto::Sha256 hash_;
};

}  // namespace

RequestId Requests::fetch(const ChunkId& id, std::uint32_t max_bytes, CallOptions options,
                          Done<SharedBuffer> done) {
    return fetch_blob(MessageType::kChunkRequest, encoded(protocol::ChunkRequest{id}), max_bytes,
                      std::move(options), id, std::move(done));
}

RequestId Requests::fetch(const MetadataId& id, std::uint32_t max_bytes, CallOptions options,
                          Done<SharedBuffer> done) {
    return fetch_blob(MessageType::kMetadataRequest, encoded(protocol::MetadataRequest{id}),
                      max_bytes, std::move(options), std::nullopt, std::move(done));
}

RequestId Requests::stream(const protocol::ChunkRequest& request, CallOptions options,
                           FragmentSink sink, Done<void> done) {
    return stream_blob(MessageType::kChunkRequest, encoded(request), std::move(options),
                       std::move(sink), std::move(done));
}

RequestId Requests::fetch_blob(MessageType type, Bytes body, std::uint32_t max_bytes,
                               CallOptions options, std::optional<ChunkId> name,
                               Done<SharedBuffer> done) {
    auto assembly = std::make_shared<Assembly>(max_bytes, name.has_value());
    auto sink = [assembly](const protocol::ResponseFragment& fragment) {
        return assembly->add(fragment);
    };
    auto finish = [assembly, name, done = std::move(done)](const Status& status) {
        done(status ? assembly->take(name) : Result<SharedBuffer>(status.error()));
    };
    return stream_blob(type, std::move(body), std::move(options), std::move(sink),
                       std::move(finish));
}

RequestId Requests::stream_blob(MessageType type, Bytes body, CallOptions options,
                                FragmentSink sink, Done<void> done) {
    struct Place {
        std::optional<std::uint32_t> total;
        std::uint32_t next = 0;
    };
    Pending pending;
    pending.type = type;
    pending.take = [place = Place{}, sink = std::move(sink), on_progress = options.on_progress](
                       const Message& message) mutable -> Result<bool> {
        const auto fragment = protocol::decode_response_fragment(message.body);
        if (!fragment) return fragment.error();
        const bool last = !message.header.flags.has(Flag::kMore);
        const bool first = !place.total;
        if (first) {
            place = {fragment->total, fragment->offset};
        } else if (fragment->total != *place.total || fragment->offset != place.next) {
            return invalid("fragments that do not follow each other");
        }
        if (fragment->data.empty() && !last) return invalid("an empty fragment");
        if (const Status taken = sink(*fragment); !taken) return taken.error();
        place.next += static_cast<std::uint32_t>(fragment->data.size());
        if (on_progress) on_progress(place.next);
        return last;
    };
    pending.finish = [done = std::move(done)](std::optional<Error> error) {
        done(error ? Status(std::move(*error)) : Status());
    };
    return begin(std::move(pending), options, std::move(body));
}

RequestId Requests::store(const ChunkId& id, SharedBuffer bytes, CallOptions options,
                          Done<protocol::StoreAnswer> done) {
    return store_blob(MessageType::kChunkStore, id.span(), std::move(bytes), std::move(options),
                      std::move(done));
}

RequestId Requests::store(const MetadataId& id, SharedBuffer bytes, CallOptions options,
                          Done<protocol::StoreAnswer> done) {
    return store_blob(MessageType::kMetadataStore, id.span(), std::move(bytes), std::move(options),
                      std::move(done));
}

RequestId Requests::store_blob(MessageType type, ByteSpan name, SharedBuffer bytes,
                               CallOptions options, Done<protocol::StoreAnswer> done) {
    KOLLATOR_CHECK(bytes && bytes->size() > 0 && bytes->size() <= UINT32_MAX);
    auto answer = std::make_shared<Bytes>();
    Pending pending;
    pending.type = type;
    pending.take = collect(answer);
    pending.finish = [answer, done = std::move(done)](std::optional<Error> error) {
        done(error ? Result<protocol::StoreAnswer>(*error)
                   : protocol::decode_store_answer(*answer));
    };
    Upload upload{{}, std::move(bytes), 0};
    std::copy(name.begin(), name.end(), upload.name.begin());
    pending.upload = std::move(upload);
    return begin(std::move(pending), options, {});
}

}  // namespace kollator::peer
