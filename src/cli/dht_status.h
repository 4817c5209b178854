#pragma once

#include "cli/commands.h"
#include "cli/worker_client.h"

namespace kollator::cli {

/// `kollator dht status`: how a worker stands in the DHT, for people, or the document itself. Gives
/// the exit code: kExitFailure where the worker is not in the DHT, or lost it.
int dht_status(WorkerClient& worker, bool json, const Output& output);

}  // namespace kollator::cli
