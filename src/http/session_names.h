#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/random.h"
#include "base/siphash.h"

namespace kollator::http {

/// Names for peer connections in URLs: "<peer, hex>-<32 hex digits>". The tail is two SipHashes of
/// the peer under keys of this process, so that nobody can end a connection that is not theirs by
/// counting, and no table is needed.
class SessionNames {
 public:
    explicit SessionNames(Random& random);
    std::string name_of(std::uint64_t peer) const;
    /// Empty where this process did not make `name`.
    std::optional<std::uint64_t> peer_of(std::string_view name) const;

 private:
    SiphashKey first_;
    SiphashKey second_;
};

}  // namespace kollator::http
