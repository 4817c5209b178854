#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "protocol/message.h"

// Bodies of the messages that carry chunks and metadata (docs/protocol.md, 2.2). The two kinds look
// alike on the wire and differ in the type of their names. Every decoder takes a body without its
// header, gives views into it, and answers kInvalid with what is wrong.
namespace kollator::protocol {

/// CHUNK_REQUEST, METADATA_REQUEST.
///
///     +----------+------------+------------+
///     | name[32] | offset u32 | length u32 |    length 0: to the end
///     +----------+------------+------------+
template <typename Id>
struct BlobRequest {
    Id id;
    std::uint32_t offset = 0;
    std::uint32_t length = 0;

    bool operator==(const BlobRequest&) const = default;
};
using ChunkRequest = BlobRequest<ChunkId>;
using MetadataRequest = BlobRequest<MetadataId>;

Result<ChunkRequest> decode_chunk_request(ByteSpan body);
Result<MetadataRequest> decode_metadata_request(ByteSpan body);
void encode(const ChunkRequest& request, Bytes& out);
void encode(const MetadataRequest& request, Bytes& out);

/// CHUNK_RESPONSE, and METADATA_REQUEST's answer: a fragment of a blob.
///
///     +-----------+------------+---------
///     | total u32 | offset u32 | data ...       offset + data <= total
///     +-----------+------------+---------
struct ResponseFragment {
    std::uint32_t total = 0;   ///< the whole blob's size
    std::uint32_t offset = 0;  ///< of this fragment in the blob
    ByteSpan data;             ///< may be empty: the answer to an empty range
};

Result<ResponseFragment> decode_response_fragment(ByteSpan body);
void encode(const ResponseFragment& fragment, Bytes& out);

/// The header and what stands before a response fragment's data, so that the data itself need not
/// be copied behind it.
inline constexpr std::size_t kResponseHeadBytes = kHeaderBytes + 4 + 4;
void encode_response_head(std::span<std::uint8_t, kResponseHeadBytes> out, const Header& header,
                          std::uint32_t total, std::uint32_t offset);
/// The same for a CHUNK_RESPONSE: RESPONSE is set in addition to `flags`.
void encode_chunk_response_head(std::span<std::uint8_t, kResponseHeadBytes> out,
                                RequestId request_id, Flags flags, std::uint32_t total,
                                std::uint32_t offset);

/// CHUNK_STORE, METADATA_STORE: a fragment of an upload.
///
///     +----------+-----------+------------+---------
///     | name[32] | total u32 | offset u32 | data ...   total, data > 0; offset + data <= total
///     +----------+-----------+------------+---------
template <typename Id>
struct StoreFragment {
    Id id;
    std::uint32_t total = 0;
    std::uint32_t offset = 0;
    ByteSpan data;
};
using ChunkStore = StoreFragment<ChunkId>;
using MetadataStore = StoreFragment<MetadataId>;

Result<ChunkStore> decode_chunk_store(ByteSpan body);
Result<MetadataStore> decode_metadata_store(ByteSpan body);
void encode(const ChunkStore& fragment, Bytes& out);
void encode(const MetadataStore& fragment, Bytes& out);

inline constexpr std::size_t kStoreHeadBytes = kHeaderBytes + 32 + 4 + 4;
void encode_chunk_store_head(std::span<std::uint8_t, kStoreHeadBytes> out, RequestId request_id,
                             Flags flags, const ChunkId& id, std::uint32_t total,
                             std::uint32_t offset);
void encode_metadata_store_head(std::span<std::uint8_t, kStoreHeadBytes> out, RequestId request_id,
                                Flags flags, const MetadataId& id, std::uint32_t total,
                                std::uint32_t offset);

/// The answer to CHUNK_STORE and METADATA_STORE.
///
///     +-----------+---------------+
///     | status u8 | durability u8 |
///     +-----------+---------------+
enum class StoreStatus : std::uint8_t { kStored = 0, kAlreadyThere = 1 };
enum class StoreDurability : std::uint8_t { kJournaled = 1, kObjectStore = 2 };
struct StoreAnswer {
    StoreStatus status = StoreStatus::kStored;
    StoreDurability durability = StoreDurability::kObjectStore;

    bool operator==(const StoreAnswer&) const = default;
};

Result<StoreAnswer> decode_store_answer(ByteSpan body);
void encode(const StoreAnswer& answer, Bytes& out);

}  // namespace kollator::protocol
