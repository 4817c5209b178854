#pragma once

#include <source_location>

namespace kollator {

/// Prints the failed condition with its place and aborts. For faults of the programmer only: no
/// input of a peer, a disk or an operator may reach it.
[[noreturn]] void check_failed(const char* condition, std::source_location where);

}  // namespace kollator

/// On in release builds too.
#define KOLLATOR_CHECK(condition) \
    (static_cast<bool>(condition) \
         ? static_cast<void>(0)   \
         : ::kollator::check_failed(#condition, std::source_location::current()))
