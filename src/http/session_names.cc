#include "http/session_names.h"

#include <fmt/core.h>

#include <charconv>

#include "base/bytes.h"
#include "http/admin_guard.h"

namespace kollator::http {

SessionNames::SessionNames(Random& random)
    : first_{random.u64(), random.u64()}, second_{random.u64(), random.u64()} {}

std::string SessionNames::name_of(std::uint64_t peer) const {
    std::uint8_t bytes[8];
    store_u64(bytes, peer);
    return fmt::format("{:x}-{:016x}{:016x}", peer, siphash(bytes, first_),
                       siphash(bytes, second_));
}

std::optional<std::uint64_t> SessionNames::peer_of(std::string_view name) const {
    std::uint64_t peer = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), peer, 16);
    if (error != std::errc()) return std::nullopt;
    if (!equal_in_constant_time(name, name_of(peer))) return std::nullopt;
    return peer;
}

}  // namespace kollator::http
