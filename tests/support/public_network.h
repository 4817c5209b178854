#pragma once

namespace kollator::testing {

/// Puts this process into a network of its own, where 45.0.0.0/8 and 2a00:1::1 to 2a00:9::1 are on
/// the loopback interface, besides 127.0.0.0/8, 10.0.0.0/8 and ::1: what is decided by addresses of
/// the internet can be tried without it. False where the system does not allow that; nothing has
/// changed then. REQUIRES: no other thread runs yet.
bool enter_public_network();

}  // namespace kollator::testing
