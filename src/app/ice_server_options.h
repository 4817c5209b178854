#pragma once

#include "config/config.h"
#include "rtc/endpoint.h"

namespace kollator::app {

/// STUN_SERVERS and TURN_SERVERS as the endpoint takes them. STUN over TLS (stuns:) is for browsers
/// only, and left out.
rtc::IceServerOptions ice_server_options(const config::Config& config);

}  // namespace kollator::app
