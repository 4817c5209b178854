#pragma once

#include "http/dht_endpoints.h"
#include "http/worker_documents.h"

namespace kollator::http {

/// What /health says of the DHT: the gravest that is wrong, and what to do about it.
HealthCheck dht_health(const DhtStats& stats);

}  // namespace kollator::http
