#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"

// Bodies of CHUNK_LIST and CHUNK_STAT (docs/protocol.md, 2.2): what is stored, without its bytes.
// Every decoder answers kInvalid with what is wrong.
namespace kollator::protocol {

enum class ListScope : std::uint8_t { kCachedHere = 0, kObjectStore = 1 };
inline constexpr std::uint16_t kDefaultListLimit = 1000;

///     +-----------+-----------+----------+
///     | after[32] | limit u16 | scope u8 |    after zeros: from the start; limit 0: the default
///     +-----------+-----------+----------+
struct ListRequest {
    ChunkId after;
    std::uint16_t limit = 0;
    ListScope scope = ListScope::kCachedHere;

    bool operator==(const ListRequest&) const = default;
};

Result<ListRequest> decode_list_request(ByteSpan body);
void encode(const ListRequest& request, Bytes& out);

struct ListEntry {
    ChunkId id;
    std::uint32_t size_bytes = 0;

    bool operator==(const ListEntry&) const = default;
};

///     +---------+-----------+-----------------------------
///     | more u8 | count u16 | count x (hash[32], size u32)    ascending by hash
///     +---------+-----------+-----------------------------
struct ListAnswer {
    bool more = false;
    std::vector<ListEntry> entries;

    bool operator==(const ListAnswer&) const = default;
};
inline constexpr std::size_t kListHeadBytes = 1 + 2;
inline constexpr std::size_t kListEntryBytes = 32 + 4;

Result<ListAnswer> decode_list_answer(ByteSpan body);
/// REQUIRES: at most 65,535 entries.
void encode(const ListAnswer& answer, Bytes& out);

inline constexpr std::size_t kMaxStatNames = 1000;
/// HELLO's feature: a CHUNK_STAT may say that what is known will do.
inline constexpr const char* kStatKnownFeature = "stat-known";

///     +-----------+------------------+------------
///     | count u16 | count x hash[32] | scope u8?     count <= 1,000; scope 1: only what is known
///     +-----------+------------------+------------   without asking the object store
struct StatRequest {
    std::vector<ChunkId> ids;
    bool known_only = false;

    bool operator==(const StatRequest&) const = default;
};

Result<StatRequest> decode_stat_request(ByteSpan body);
/// REQUIRES: at most kMaxStatNames names.
void encode(const StatRequest& request, Bytes& out);

enum class StatResidency : std::uint8_t {
    kNotStored = 0,
    kObjectStore = 1,
    kCachedHere = 2,
    kFellow = 3,
    kUnknown = 0xFF,
};
struct StatEntry {
    std::uint32_t size_bytes = 0;
    StatResidency residency = StatResidency::kUnknown;

    bool operator==(const StatEntry&) const = default;
};

///     +------------------------------------
///     | count x (size u32, residency u8)       in the order asked; the count is the asker's
///     +------------------------------------
struct StatAnswer {
    std::vector<StatEntry> entries;

    bool operator==(const StatAnswer&) const = default;
};
inline constexpr std::size_t kStatEntryBytes = 4 + 1;

Result<StatAnswer> decode_stat_answer(ByteSpan body);
void encode(const StatAnswer& answer, Bytes& out);

}  // namespace kollator::protocol
