#include "app/keygen.h"

#include <cstdio>

#include "config/command_line.h"
#include "crypto/shared_key.h"

namespace kollator::app {

int keygen(FileSystem& fs, Random& random, const std::string& path, bool force) {
    if (!force && fs.info(path).ok()) {
        std::fprintf(stderr,
                     "kollator: %s exists: whoever uses this key would be locked out by another; "
                     "--force replaces it\n",
                     path.c_str());
        return config::kExitFailure;
    }
    if (const auto status = crypto::write_new_shared_key(fs, random, path); !status) {
        std::fprintf(stderr, "kollator: %s\n", status.error().detail.c_str());
        return config::kExitFailure;
    }
    std::printf("Wrote a new key to %s. Give the same file to every worker and front.\n",
                path.c_str());
    return config::kExitOk;
}

}  // namespace kollator::app
