#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace kollator::chunk {

/// Names that the operator refuses: chunks' SHA-256 and torrents' info-hashes alike. Cannot be
/// changed, only replaced as a whole; any thread.
class Denylist {
 public:
    using Hash = std::array<std::uint8_t, 32>;

    Denylist() = default;
    /// In any order, twice or not.
    explicit Denylist(std::vector<Hash> hashes);

    bool contains(const Hash& hash) const;
    std::size_t size() const { return hashes_.size(); }
    /// Ascending.
    const std::vector<Hash>& hashes() const { return hashes_; }

 private:
    std::vector<Hash> hashes_;  // sorted, each once
};

using DenylistPtr = std::shared_ptr<const Denylist>;

/// A line that names nothing. Lines count from 1.
struct DenylistFault {
    std::size_t line = 0;
    std::string what;
};

struct ParsedDenylist {
    DenylistPtr list;
    std::vector<DenylistFault> faults;  ///< the first kMaxToldFaults
    std::size_t fault_count = 0;        ///< all of them
};

inline constexpr std::size_t kMaxToldFaults = 20;

/// About 4 million lines; they take half as much memory while they are in force.
inline constexpr std::size_t kMaxDenylistBytes = 256U << 20;

/// One hash a line: 64 hex digits of either case. `#` begins a comment, at the line's beginning or
/// behind the hash; blank lines, spaces and tabs around a hash, CRLF and a byte order mark are
/// passed over. A line that is something else is told, and voids no other. Any thread; a million
/// lines take some tenths of a second.
ParsedDenylist parse_denylist(ByteSpan file);

/// What a requester is told of a name that the denylist holds: kNotFound with these words, by which
/// the session and the client know a refusal (docs/protocol.md, section 6).
Error refused_by_denylist();
bool is_refusal(const Error& error);

}  // namespace kollator::chunk
