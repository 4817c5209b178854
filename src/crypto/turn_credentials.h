#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/time.h"

namespace kollator::crypto {

/// A TURN user and password that end by themselves, as coturn's use-auth-secret takes them.
struct TurnCredentials {
    std::string username;
    std::string password;
};

/// Of what shares `secret` with the TURN server; good for kTurnCredentialLifetime from `now` on.
/// `name`: what the server's log has; empty for "kollator". (draft-uberti-behave-turn-rest-00, 2.2:
/// the user name is the end in seconds since 1970 and a name, the password its HMAC with the
/// secret.)
TurnCredentials turn_credentials(std::string_view secret, std::string_view name, WallTime now);

constexpr std::chrono::hours kTurnCredentialLifetime{24};

}  // namespace kollator::crypto
