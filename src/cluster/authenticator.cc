#include "cluster/authenticator.h"

#include <fmt/format.h>

#include <utility>

#include "base/check.h"
#include "base/worker_id.h"
#include "crypto/hash.h"

namespace kollator::cluster {
namespace {

constexpr auto kFreshness_s = static_cast<std::uint64_t>(kAuthFreshness.count());

std::uint64_t seconds_since_1970(WallTime wall) {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::seconds>(wall.time_since_epoch()).count());
}

}  // namespace

std::string_view to_string(AuthRefusal refusal) {
    static constexpr std::array<std::string_view, kAuthRefusals> kNames = {
        "bad_id", "wrong_key", "own_id", "stale", "proof", "replayed", "too_many"};
    return kNames[static_cast<std::size_t>(refusal)];
}

Authenticator::Authenticator(const crypto::SharedKey& key, std::string worker_id,
                             const Clock& clock, Random& random)
    : key_(key), worker_id_(std::move(worker_id)), clock_(clock), random_(random) {
    KOLLATOR_CHECK(is_worker_id(worker_id_));
}

AuthClaim Authenticator::own_claim(LinkRole role, const LinkFingerprints& fingerprints) {
    AuthClaim claim;
    claim.role = role;
    claim.worker_id = worker_id_;
    claim.timestamp_s = seconds_since_1970(clock_.wall_now());
    random_.fill(claim.nonce);
    claim.fingerprints = fingerprints;
    return claim;
}

protocol::Auth Authenticator::offer(const LinkFingerprints& fingerprints) {
    return make_auth(key_, own_claim(LinkRole::kOfferer, fingerprints));
}

Result<Authenticator::Answered> Authenticator::answer(const protocol::Auth& request,
                                                      const LinkFingerprints& fingerprints) {
    AuthClaim expected;
    expected.role = LinkRole::kOfferer;
    expected.fingerprints = fingerprints;
    if (const Status verified = verify(request, expected); !verified) return verified.error();
    AuthClaim own = own_claim(LinkRole::kAnswerer, fingerprints);
    own.peer_nonce = request.nonce;
    return Answered{make_auth(key_, own),
                    {request.worker_id, derive_link_keys(key_, request.nonce, own.nonce)}};
}

Result<Link> Authenticator::accept(const protocol::Auth& own, const protocol::Auth& answer,
                                   const LinkFingerprints& fingerprints) {
    AuthClaim expected;
    expected.role = LinkRole::kAnswerer;
    expected.peer_nonce = own.nonce;
    expected.fingerprints = fingerprints;
    if (const Status verified = verify(answer, expected); !verified) return verified.error();
    return Link{answer.worker_id, derive_link_keys(key_, own.nonce, answer.nonce)};
}

/// `expected` but for what `auth` itself says.
Status Authenticator::verify(const protocol::Auth& auth, const AuthClaim& expected) {
    // An id with a colon or a line's end would make two readings of what is signed.
    if (!is_worker_id(auth.worker_id)) {
        return refuse(AuthRefusal::kBadId, "the worker id is not 1 to 64 of A-Z a-z 0-9 . _ -");
    }
    // The key first: what else is wrong is told only to who knows it.
    const auto token = auth_token(key_, auth.worker_id, auth.timestamp_s);
    if (!crypto::constant_time_equal(auth.token, token)) {
        return refuse(AuthRefusal::kWrongKey,
                      "the token does not verify: is the shared key the same on both workers?");
    }
    if (auth.worker_id == worker_id_) {
        return refuse(AuthRefusal::kOwnId, "this worker has the id " + worker_id_ +
                                               " itself: its own words came back, or two workers "
                                               "have the same id");
    }
    const std::uint64_t now_s = seconds_since_1970(clock_.wall_now());
    const bool behind = auth.timestamp_s < now_s;
    const std::uint64_t off_s = behind ? now_s - auth.timestamp_s : auth.timestamp_s - now_s;
    if (off_s > kFreshness_s) {
        return refuse(AuthRefusal::kStale,
                      fmt::format("the timestamp is {} s {}, {} are allowed: are the clocks set?",
                                  off_s, behind ? "behind" : "ahead", kFreshness_s));
    }
    AuthClaim claim = expected;
    claim.worker_id = auth.worker_id;
    claim.timestamp_s = auth.timestamp_s;
    claim.nonce = auth.nonce;
    if (!crypto::constant_time_equal(auth.proof, auth_proof(key_, claim))) {
        return refuse(AuthRefusal::kProof,
                      "the proof was not made for this connection: somebody stands in the middle, "
                      "or it was taken from another connection");
    }
    return remember(auth);
}

/// Last, so that nothing but a good AUTH takes room here.
Status Authenticator::remember(const protocol::Auth& auth) {
    const std::uint64_t now_s = seconds_since_1970(clock_.wall_now());
    std::erase_if(nonces_, [now_s](const auto& entry) { return entry.second < now_s; });
    if (nonces_.contains(auth.nonce)) {
        return refuse(AuthRefusal::kReplayed, "this nonce was used before: a replay");
    }
    if (nonces_.size() >= kMaxRememberedNonces) {
        Error full = refuse(AuthRefusal::kTooMany, "too many authentications in two minutes");
        full.code = ErrorCode::kLimit;
        return full;
    }
    nonces_.emplace(auth.nonce, auth.timestamp_s + kFreshness_s);
    ++accepted_;
    return {};
}

Error Authenticator::refuse(AuthRefusal refusal, std::string detail) {
    ++refused_[static_cast<std::size_t>(refusal)];
    return make_error(ErrorCode::kInvalid, std::move(detail));
}

}  // namespace kollator::cluster
