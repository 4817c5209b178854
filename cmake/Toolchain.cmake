# Language level, warnings and hardening, the same for every target.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()

add_library(kollator_flags INTERFACE)
target_compile_options(kollator_flags INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion)
# GCC 12 sees uninitialized values in a std::optional that is checked, at -O2. Clang has its own
# check, and the sanitizers see the rest.
target_compile_options(kollator_flags INTERFACE
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized -Wno-restrict>)
option(KOLLATOR_WERROR "Treat warnings as errors" OFF)
if(KOLLATOR_WERROR)
    target_compile_options(kollator_flags INTERFACE -Werror)
endif()

option(KOLLATOR_HARDEN "Hardening flags, for release builds" OFF)
if(KOLLATOR_HARDEN)
    # FORTIFY 3 is GCC's; clang 14 knows 2. One word: CMake would drop an -U that it saw before.
    set(fortify $<IF:$<CXX_COMPILER_ID:GNU>,3,2>)
    target_compile_options(kollator_flags INTERFACE
        "SHELL:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=${fortify}"
        -fstack-protector-strong -fstack-clash-protection -fcf-protection)
    target_compile_definitions(kollator_flags INTERFACE _GLIBCXX_ASSERTIONS)
    target_link_options(kollator_flags INTERFACE -pie -Wl,-z,relro,-z,now)
endif()

set(KOLLATOR_SANITIZE "" CACHE STRING "Sanitizers, as in -fsanitize=")
if(KOLLATOR_SANITIZE)
    add_compile_options(-fsanitize=${KOLLATOR_SANITIZE} -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${KOLLATOR_SANITIZE})
    if(KOLLATOR_SANITIZE MATCHES "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        # Asio's reference counts end with a fence. The sanitizer does not see it, and says so.
        add_compile_options(-Wno-tsan)
    endif()
endif()

find_program(KOLLATOR_CCACHE ccache)
if(KOLLATOR_CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${KOLLATOR_CCACHE})
    set(CMAKE_C_COMPILER_LAUNCHER ${KOLLATOR_CCACHE})
endif()
