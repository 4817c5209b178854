#include "app/descriptors.h"

#include <sys/resource.h>

#include <algorithm>

namespace kollator::app {
namespace {

constexpr std::size_t kShareOfFiles = 8;
/// 32 MB of the smallest chunks that are common, 16 KiB; of full ones more than any cache here has.
constexpr std::size_t kMaxFiles = 2048;

}  // namespace

std::size_t raise_descriptor_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
    const rlimit raised{std::max(limit.rlim_cur, std::min<rlim_t>(limit.rlim_max, kMaxDescriptors)),
                        limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
    return static_cast<std::size_t>(limit.rlim_cur);
}

std::size_t cached_files_kept_open(std::size_t descriptors) {
    return std::min(descriptors / kShareOfFiles, kMaxFiles);
}

}  // namespace kollator::app
