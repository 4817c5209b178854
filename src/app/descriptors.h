#pragma once

#include <cstddef>

namespace kollator::app {

/// Most that a process of ours has use for: each connection over HTTP and each open file takes one,
/// data channels share a socket.
inline constexpr std::size_t kMaxDescriptors = 65'536;

/// Raises the soft limit of open descriptors (RLIMIT_NOFILE, often 1,024 for the sake of select(2),
/// which nothing here uses) as far as the hard one and kMaxDescriptors let it. Gives what holds
/// then. Once, at the start.
std::size_t raise_descriptor_limit();

/// How many of them the cache may use to keep files open for their next readers.
std::size_t cached_files_kept_open(std::size_t descriptors);

}  // namespace kollator::app
