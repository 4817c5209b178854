#pragma once

#include "base/time.h"

namespace kollator {

/// The machine's clocks. Lives for ever, thread-safe.
const Clock& system_clock();

}  // namespace kollator
