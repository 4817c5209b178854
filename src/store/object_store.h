#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "base/ids.h"
#include "base/result.h"

namespace kollator::store {

/// The two kinds of objects (protocol.md, section 3): `chunks/<hash>` and `torrents/<infohash>`.
enum class ObjectKind : std::uint8_t { kChunk, kTorrent };

/// An object's name. Both kinds are named by a SHA-256, so a key is a kind and 32 bytes.
struct ObjectKey {
    ObjectKind kind = ObjectKind::kChunk;
    std::array<std::uint8_t, 32> hash{};

    explicit ObjectKey(const ChunkId& id) : kind(ObjectKind::kChunk), hash(id.bytes()) {}
    explicit ObjectKey(const MetadataId& id) : kind(ObjectKind::kTorrent), hash(id.bytes()) {}

    /// "chunks/<64 hex digits>" or "torrents/<64 hex digits>".
    std::string path() const;
    /// The hash alone, 64 hex digits.
    std::string hex() const { return to_hex(hash); }
    auto operator<=>(const ObjectKey&) const = default;
};

/// "chunks/" or "torrents/".
std::string_view prefix_of(ObjectKind kind);

/// No object that a store reads or writes is larger: far above any chunk, far below memory.
inline constexpr std::uint64_t kMaxObjectBytes = 256ULL << 20;
/// The most that one page of a list holds; S3's own bound.
inline constexpr std::size_t kMaxListEntries = 1000;

enum class PutOutcome : std::uint8_t { kStored, kAlreadyThere };

struct GetOptions {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;  ///< 0: to the end
    /// An object (or range) larger than this is refused with kLimit before its body is read. 0: the
    /// store's own limit, kMaxObjectBytes, which no larger value lifts either.
    std::uint64_t max_bytes = 0;
    /// Asked once more because the bytes that came were wrong: counts as a retry of the store's
    /// own. kCorrupt, without a request, where the store's budget of retries is used up.
    bool again = false;
    /// Where the buffer's bytes are leased from, when given; kLimit where it is used up. Outlives
    /// the request, and in a filesystem store the job pool too: a job that is reading a file when
    /// its request is cancelled gives its lease back a moment later.
    ByteBudget* budget = nullptr;
};

struct ListEntry {
    std::array<std::uint8_t, 32> hash{};
    std::uint64_t size_bytes = 0;
    std::int64_t modified_s = 0;  ///< when it was stored, since 1970; 0: the store does not tell
};

struct ListPage {
    std::vector<ListEntry> entries;  ///< ascending by hash; foreign names are left out
    bool more = false;               ///< entries after the last one exist
};

/// Of a circuit breaker: requests go, fail at once, or one goes to find out.
enum class BreakerState : std::uint8_t { kClosed, kHalfOpen, kOpen };

/// "closed", "half-open" or "open".
std::string_view to_string(BreakerState state);

/// Requests of one kind that ended in one way.
struct RequestCount {
    std::string_view operation;  ///< "get", "put", "head", "list", "delete"
    std::string_view result;     ///< "ok", "not_found", "slow_down", "timeout", …
    std::uint64_t count = 0;
};

/// A calendar month's egress (UTC) against its budget.
struct EgressStats {
    std::string month;  ///< "2026-11"
    std::uint64_t used_bytes = 0;
    std::uint64_t budget_bytes = 0;  ///< 0: none
    bool limited = false;            ///< the budget is used up: misses are slowed
};

struct StoreStats {
    std::uint64_t requests = 0;  ///< sent, retries included
    std::uint64_t errors = 0;    ///< requests that ended in an error other than not found
    std::uint64_t retries = 0;
    std::uint64_t retries_refused = 0;  ///< wanted, but over the retry budget
    std::uint64_t refused = 0;          ///< not sent: the circuit was open
    std::uint64_t uploaded_chunks = 0;
    std::uint64_t uploaded_bytes = 0;
    std::uint64_t sent_bytes = 0;        ///< of bodies, repeats included
    std::uint64_t downloaded_bytes = 0;  ///< what a provider bills as egress
    std::uint32_t in_flight = 0;
    std::uint32_t in_flight_limit = 0;  ///< 0: not bounded by this store
    BreakerState breaker = BreakerState::kClosed;
    std::vector<RequestCount> answers;  ///< those that happened
    std::optional<EgressStats> egress;  ///< where it is counted
};

/// Something that /health shows beside whether the store can be used.
struct StoreCheck {
    std::string name;  ///< "circuit", "credentials", "egress"
    bool warn = false;
    std::string detail;
};

/// A request under way. Destroying it cancels the request: no callback runs after that.
class Transfer {
 public:
    virtual ~Transfer() = default;
};
using TransferHandle = std::unique_ptr<Transfer>;

/// Where objects live for good. Every method is called on the loop's thread; every callback runs
/// there too, once, and never before the method returned. Destroying the handle that a method gave
/// cancels its request (a PUT may have happened all the same). Retries happen in here and nowhere
/// else. Errors: kNotFound, kUnavailable and kTimeout (the store cannot be reached or is out of
/// order: nothing is known), kCorrupt (the store refused or delivered bytes that do not fit their
/// length or checksum), kLimit (over max_bytes, a budget or a queue's bound), kInvalid (refused:
/// credentials, bucket, a request that will never work).
class ObjectStore {
 public:
    /// Told while a body arrives: the first `available_bytes` of `buffer` are there. `object_size`
    /// is the whole object's, also where a range was asked for. The rest of `buffer` is still being
    /// written by another thread: do not read it.
    using OnProgress = std::function<void(const SharedBuffer& buffer, std::size_t available_bytes,
                                          std::uint64_t object_size)>;
    using OnGet = std::function<void(Result<SharedBuffer>)>;
    using OnPut = std::function<void(Result<PutOutcome>)>;
    using OnStat = std::function<void(Result<std::uint64_t>)>;
    using OnList = std::function<void(Result<ListPage>)>;
    using OnDone = std::function<void(Status)>;

    virtual ~ObjectStore() = default;

    /// The bytes are NOT verified against the key: the caller does that. `on_progress` may be
    /// empty. A retry starts the body again from its first byte with a new buffer.
    virtual TransferHandle get(const ObjectKey& key, const GetOptions& options,
                               OnProgress on_progress, OnGet on_done) = 0;

    /// Answered only when the object is durable, or pending (below). `body` has been verified by
    /// the caller. `payload_sha256` is the SHA-256 of the whole body (for a chunk, its name).
    virtual TransferHandle put(const ObjectKey& key, SharedBuffer body,
                               const std::array<std::uint8_t, 32>& payload_sha256,
                               OnPut on_done) = 0;

    /// The object's size.
    virtual TransferHandle stat(const ObjectKey& key, OnStat on_done) = 0;

    /// Up to `limit` (1 to 1,000) objects of a kind whose hash is greater than `after`.
    virtual TransferHandle list(ObjectKind kind, const std::array<std::uint8_t, 32>& after,
                                std::size_t limit, OnList on_done) = 0;

    /// Removing what is not there succeeds.
    virtual TransferHandle remove(const ObjectKey& key, OnDone on_done) = 0;

    /// Whether the store can be used now, by the cheapest request that proves it.
    virtual TransferHandle probe(OnDone on_done) = 0;

    /// What has been acknowledged and is on this machine's disk, but not yet where it lives for
    /// good (write-back, journal/journaled_store.h): an object's size, and up to `limit` objects of
    /// a kind whose hash is greater than `after`, ascending. get(), stat() and remove() know these
    /// too; list() does not give them. Nothing in a store that writes through.
    virtual std::optional<std::uint64_t> pending_size(const ObjectKey&) const { return {}; }
    virtual std::vector<ListEntry> list_pending(ObjectKind, const std::array<std::uint8_t, 32>&,
                                                std::size_t) const {
        return {};
    }

    virtual StoreStats stats() const = 0;

    virtual std::vector<StoreCheck> checks() const { return {}; }

    /// For logs and /health: "filesystem /path" or "s3 https://host/bucket"; no secret.
    virtual std::string describe() const = 0;
};

}  // namespace kollator::store
