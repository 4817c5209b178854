#include <cstddef>
#include <cstdint>

#include "chunk/denylist.h"

// Whatever stands in an operator's file: no crash, and no more names or faults than lines.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto parsed = kollator::chunk::parse_denylist({data, size});
    std::size_t lines = 1;
    for (std::size_t i = 0; i < size; ++i) lines += data[i] == '\n' ? 1 : 0;
    if (parsed.list->size() + parsed.fault_count > lines) __builtin_trap();
    if (parsed.faults.size() > kollator::chunk::kMaxToldFaults) __builtin_trap();
    for (const auto& fault : parsed.faults) {
        if (fault.line == 0 || fault.line > lines) __builtin_trap();
    }
    for (const auto& hash : parsed.list->hashes()) {
        if (!parsed.list->contains(hash)) __builtin_trap();
    }
    return 0;
}
