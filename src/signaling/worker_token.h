#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"

namespace kollator::signaling {

/// Both ways; protocol.md, section 5.
inline constexpr std::chrono::seconds kTokenFreshness{60};
/// Tokens remembered at once. Only who knows the key can add one, one for each registration.
inline constexpr std::size_t kMaxRememberedTokens = 4096;

/// hex HMAC-SHA256(key, "<id>:<timestamp>").
std::string make_worker_token(ByteSpan key, std::string_view id, std::uint64_t timestamp_s);

/// A front's side: takes each token once, while it is fresh. Without a key it takes none.
class WorkerTokenVerifier {
 public:
    explicit WorkerTokenVerifier(Bytes key) : key_(std::move(key)) {}

    /// kInvalid: wrong, stale or used before (the detail, which may be told to the worker, says
    /// which); kLimit: too many registrations.
    Status verify(std::string_view id, std::uint64_t timestamp_s, std::string_view token,
                  WallTime now);

 private:
    void forget_stale(std::int64_t now_s);

    const Bytes key_;
    /// "<id>:<timestamp>" of the tokens taken, with the timestamp.
    std::unordered_map<std::string, std::int64_t, KeyedHash> used_;
};

}  // namespace kollator::signaling
