#include <cstddef>
#include <cstdint>

#include "rtc/stun/stun_message.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const kollator::ByteSpan datagram(data, size);
    const auto message = kollator::rtc::parse_stun(datagram);
    if (message.ok()) {
        (void)kollator::rtc::verify_integrity(datagram, *message, "VOkJxbRl1RmTxUk/WvJxBt");
    }
    return 0;
}
