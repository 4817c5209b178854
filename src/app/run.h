#pragma once

#include "config/config.h"

namespace kollator::app {

// Each runs until SIGINT or SIGTERM, then ends cleanly, and gives the process's exit code. What
// went wrong at the start is said on stderr.

int run_worker(const config::Config& config);
int run_front(const config::Config& config);
/// A front and a worker on one loop; the worker registers with the front as any other would.
int run_dev(const config::Config& config);

}  // namespace kollator::app
