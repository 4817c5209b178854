#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace kollator {

void check_failed(const char* condition, const char* file, int line, const char* function) {
    std::fprintf(stderr, "%s:%d: %s: check failed: %s\n", file, line, function, condition);
    std::abort();
}

}  // namespace kollator
