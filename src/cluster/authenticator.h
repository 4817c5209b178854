#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/random.h"
#include "base/result.h"
#include "base/time.h"
#include "cluster/auth.h"

namespace kollator::cluster {

/// Both ways; docs/protocol.md, section 5.
inline constexpr std::chrono::seconds kAuthFreshness{60};
/// Nonces remembered at once, each until its timestamp is stale. Only who knows the key can add
/// one.
inline constexpr std::size_t kMaxRememberedNonces = 8192;

/// Why an AUTH was refused.
enum class AuthRefusal : std::uint8_t {
    kBadId,     ///< the worker id is none
    kWrongKey,  ///< the token does not verify
    kOwnId,     ///< it is our own id: our words came back, or two workers have one id
    kStale,     ///< the timestamp is too far off
    kProof,     ///< the token is good, but was not made for this connection
    kReplayed,  ///< the nonce was seen before
    kTooMany,   ///< the memory for nonces is full
};
inline constexpr std::size_t kAuthRefusals = 7;

/// "bad_id", "wrong_key", … for metrics.
std::string_view to_string(AuthRefusal refusal);

/// What AUTH gives to either side.
struct Link {
    std::string fellow_id;
    LinkKeys keys;
};

/// One worker's side of every AUTH, asked or asking. Loop thread only.
class Authenticator {
 public:
    /// `clock` and `random` outlive it. REQUIRES: is_worker_id(worker_id).
    Authenticator(const crypto::SharedKey& key, std::string worker_id, const Clock& clock,
                  Random& random);

    const std::string& worker_id() const { return worker_id_; }

    /// The offerer's first words.
    protocol::Auth offer(const LinkFingerprints& fingerprints);

    struct Answered {
        protocol::Auth answer;
        Link link;
    };
    /// The answerer's side: verifies, and answers. kInvalid: refused, and the detail, which may be
    /// told to the peer, says why; kLimit: too many authentications at once.
    Result<Answered> answer(const protocol::Auth& request, const LinkFingerprints& fingerprints);

    /// The offerer's verdict on the answer to `own`, which offer() gave. Errors as answer().
    Result<Link> accept(const protocol::Auth& own, const protocol::Auth& answer,
                        const LinkFingerprints& fingerprints);

    std::uint64_t accepted() const { return accepted_; }
    std::uint64_t refused(AuthRefusal refusal) const {
        return refused_[static_cast<std::size_t>(refusal)];
    }
    std::size_t remembered_nonces() const { return nonces_.size(); }

 private:
    Status verify(const protocol::Auth& auth, const AuthClaim& expected);
    Error refuse(AuthRefusal refusal, std::string detail);
    Status remember(const protocol::Auth& auth);
    AuthClaim own_claim(LinkRole role, const LinkFingerprints& fingerprints);

    // injected
    const crypto::SharedKey key_;
    const std::string worker_id_;
    const Clock& clock_;
    Random& random_;

    // state
    /// With the timestamp by which each can be forgotten. An ordered map: strangers never reach it.
    std::map<AuthNonce, std::uint64_t> nonces_;
    std::uint64_t accepted_ = 0;
    std::array<std::uint64_t, kAuthRefusals> refused_{};
};

}  // namespace kollator::cluster
