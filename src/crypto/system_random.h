#pragma once

#include "base/random.h"

namespace kollator::crypto {

/// OpenSSL's generator, fit for keys. Lives for ever, thread-safe.
Random& system_random();

}  // namespace kollator::crypto
