#include <algorithm>
#include <cstdint>

#include "base/check.h"
#include "protocol/deflate.h"
#include "protocol/message.h"

// A body with COMPRESSED set: never more than a message's bytes, and what can be packed again comes
// back the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace kollator;
    static protocol::Inflater inflater;
    static protocol::Deflater deflater;
    constexpr std::size_t kBound = protocol::kMaxMessageBytes - protocol::kHeaderBytes;
    const auto plain = inflater.unpack({data, size}, kBound);
    if (!plain) return 0;
    KOLLATOR_CHECK(plain->size() <= kBound);
    const Bytes first(plain->begin(), plain->end());
    protocol::PackTrial trial;
    const ByteSpan packed = deflater.pack({}, first, trial);
    if (packed.empty()) return 0;
    const auto second = inflater.unpack(packed, first.size());
    KOLLATOR_CHECK(second.ok() && std::equal(second->begin(), second->end(), first.begin()));
    return 0;
}
