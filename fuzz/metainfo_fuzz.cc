#include <cstddef>
#include <cstdint>

#include "crypto/metainfo.h"

// Whatever a stranger sends as METADATA_STORE: no crash, and what is taken lies inside the input.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto info = kollator::crypto::parse_metainfo({data, size}, 1U << 20);
    if (!info) return 0;
    if (info->chunk_hashes.size() > size || info->name.size() > size) __builtin_trap();
    for (std::size_t i = 0; i < info->chunk_count(); ++i) (void)info->chunk(i);
    return 0;
}
