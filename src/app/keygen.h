#pragma once

#include <string>

#include "base/file_system.h"
#include "base/random.h"

namespace kollator::app {

/// `kollator keygen`: writes a new shared key to `path`, mode 0600. An existing file is kept unless
/// `force`. Gives the exit code; says on stderr what went wrong.
int keygen(FileSystem& fs, Random& random, const std::string& path, bool force);

}  // namespace kollator::app
