#pragma once

#include <openssl/types.h>

namespace kollator::rtc {

/// OpenSSL as DTLS needs it, and nothing else (ADR 13): with all its algorithms it takes longer to
/// find out who can read a peer's certificate than to check its signature. Made once, never freed;
/// any thread. Null, which means OpenSSL's own, where the system is set up for something else than
/// the default provider, or where it cannot be made.
OSSL_LIB_CTX* dtls_library();

}  // namespace kollator::rtc
