#include "crypto/turn_credentials.h"

#include "crypto/base64.h"
#include "crypto/hash.h"

namespace kollator::crypto {

TurnCredentials turn_credentials(std::string_view secret, std::string_view name, WallTime now) {
    const auto end = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch() +
                                                                      kTurnCredentialLifetime);
    std::string username = std::to_string(end.count()) + ":";
    username += name.empty() ? "kollator" : name;
    std::string password = base64(hmac_sha1(as_bytes(secret), as_bytes(username)));
    return {std::move(username), std::move(password)};
}

}  // namespace kollator::crypto
