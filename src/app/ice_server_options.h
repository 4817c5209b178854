#pragma once

#include <vector>

#include "config/config.h"
#include "peer/bootstrap.h"
#include "rtc/endpoint.h"

namespace kollator::app {

/// STUN_SERVERS and TURN_SERVERS as the endpoint takes them. STUN over TLS (stuns:) is for browsers
/// only, and left out.
rtc::IceServerOptions ice_server_options(const config::Config& config);

/// Those that a front names to its clients; what is none is left out.
rtc::IceServerOptions ice_server_options(const std::vector<peer::IceServerAddress>& servers);

}  // namespace kollator::app
