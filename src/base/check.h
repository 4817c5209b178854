#pragma once

namespace kollator {

/// Prints the failed condition with its place and aborts. For faults of the programmer only: no
/// input of a peer, a disk or an operator may reach it.
[[noreturn]] void check_failed(const char* condition, const char* file, int line,
                               const char* function);

}  // namespace kollator

/// On in release builds too. Not by std::source_location, which clang 14 lacks.
#define KOLLATOR_CHECK(condition) \
    (static_cast<bool>(condition) \
         ? static_cast<void>(0)   \
         : ::kollator::check_failed(#condition, __FILE__, __LINE__, __func__))
