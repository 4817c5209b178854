#include "signaling/worker_token.h"

#include <cstdlib>

#include "crypto/hash.h"

namespace kollator::signaling {
namespace {

std::string token_message(std::string_view id, std::uint64_t timestamp_s) {
    return std::string(id) + ":" + std::to_string(timestamp_s);
}

Error refused(std::string why) {
    return make_error(ErrorCode::kInvalid, std::move(why));
}

}  // namespace

std::string make_worker_token(ByteSpan key, std::string_view id, std::uint64_t timestamp_s) {
    return to_hex(crypto::hmac_sha256(key, as_bytes(token_message(id, timestamp_s))));
}

Status WorkerTokenVerifier::verify(std::string_view id, std::uint64_t timestamp_s,
                                   std::string_view token, WallTime now) {
    if (key_.empty()) return refused("this front has no shared key, so it takes no workers");
    // The proof first: what else is wrong is told only to who knows the key.
    const auto given = from_hex(token);
    const std::string message = token_message(id, timestamp_s);
    if (!given ||
        !crypto::constant_time_equal(*given, crypto::hmac_sha256(key_, as_bytes(message)))) {
        return refused("the token does not verify: is the shared key the same?");
    }
    const auto now_s =
        std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
    const auto stamp_s = static_cast<std::int64_t>(timestamp_s);
    if (std::llabs(now_s - stamp_s) > kTokenFreshness.count()) {
        return refused("the timestamp is over 60 s off: are the clocks set?");
    }
    forget_stale(now_s);
    if (used_.contains(message)) return refused("this token was used before");
    if (used_.size() >= kMaxRememberedTokens) {
        return make_error(ErrorCode::kLimit, "too many registrations in a minute");
    }
    used_.emplace(message, stamp_s);
    return {};
}

void WorkerTokenVerifier::forget_stale(std::int64_t now_s) {
    std::erase_if(used_, [now_s](const auto& entry) {
        return entry.second < now_s - kTokenFreshness.count();
    });
}

}  // namespace kollator::signaling
