# Half of a compile's time here is the standard library's headers and GoogleTest's, the same in
# every file. Where no ccache does better, they are compiled once for the libraries and once for
# the tests. A precompiled header also hides a missing #include: the dev preset leaves it off.
option(KOLLATOR_PRECOMPILED "Compile the standard headers once; not with ccache" OFF)

set(standard_headers
    <algorithm> <array> <chrono> <cstddef> <cstdint> <cstring> <deque> <filesystem> <functional>
    <map> <memory> <optional> <set> <span> <string> <string_view> <unordered_map> <utility>
    <variant> <vector>)

# What a test program needs beside the code under test. -O1: a quarter less time to build, and what
# is tested is optimised all the same. GCC 12 takes small vectors of constants in tests for
# overflows, and their ends for wild frees.
add_library(kollator_test_flags INTERFACE)
target_compile_options(kollator_test_flags INTERFACE $<$<CONFIG:Release>:-O1>
    $<$<CXX_COMPILER_ID:GNU>:-Wno-array-bounds -Wno-stringop-overflow -Wno-free-nonheap-object>)
target_link_libraries(kollator_test_flags INTERFACE kollator_flags)
if(KOLLATOR_TESTS)
    target_link_libraries(kollator_test_flags INTERFACE GTest::gmock GTest::gtest_main)
endif()

set(KOLLATOR_PRECOMPILE OFF)
if(KOLLATOR_PRECOMPILED AND NOT KOLLATOR_CCACHE)
    set(KOLLATOR_PRECOMPILE ON)
    # Out of a precompiled header GCC 12 shows what it gets wrong in the system's headers, too.
    target_compile_options(kollator_flags INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-array-bounds
        -Wno-stringop-overflow -Wno-free-nonheap-object>)
    file(WRITE ${CMAKE_BINARY_DIR}/precompiled.cc "")
    add_library(kollator_precompiled OBJECT ${CMAKE_BINARY_DIR}/precompiled.cc)
    target_link_libraries(kollator_precompiled PRIVATE kollator_flags Threads::Threads)
    target_precompile_headers(kollator_precompiled PRIVATE ${standard_headers})
    if(KOLLATOR_TESTS)
        # A program, with GoogleTest's main: only so does it get -fPIE, as those that use it.
        add_executable(kollator_precompiled_tests ${CMAKE_BINARY_DIR}/precompiled.cc)
        target_link_libraries(kollator_precompiled_tests PRIVATE kollator_test_flags)
        target_precompile_headers(kollator_precompiled_tests PRIVATE ${standard_headers}
            <gmock/gmock.h> <gtest/gtest.h>)
    endif()
endif()

# kollator_precompile(<target> [TESTS]): for targets that have the flags of the libraries, or of
# the tests; GCC passes over a precompiled header that was made with others.
function(kollator_precompile target)
    if(NOT KOLLATOR_PRECOMPILE)
        return()
    endif()
    if("TESTS" IN_LIST ARGN)
        target_precompile_headers(${target} REUSE_FROM kollator_precompiled_tests)
    else()
        target_precompile_headers(${target} REUSE_FROM kollator_precompiled)
    endif()
endfunction()
