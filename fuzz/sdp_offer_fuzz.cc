#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "rtc/sdp/answer.h"
#include "rtc/sdp/offer.h"

// Every offer that parses can be answered.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto offer = kollator::rtc::parse_offer(kollator::as_text({data, size}));
    if (offer.ok()) (void)kollator::rtc::build_answer(*offer, {});
    return 0;
}
