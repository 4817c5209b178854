#include <algorithm>
#include <cstdint>

#include "base/check.h"
#include "rtc/channel/dcep.h"

// What parses is built again to the same bytes.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const kollator::ByteSpan message(data, size);
    static_cast<void>(kollator::rtc::dcep_type(message).ok());
    const auto open = kollator::rtc::parse_dcep_open(message);
    if (!open.ok()) return 0;
    const kollator::Bytes built = kollator::rtc::build_dcep_open(*open);
    KOLLATOR_CHECK(std::equal(built.begin(), built.end(), message.begin(), message.end()));
    return 0;
}
