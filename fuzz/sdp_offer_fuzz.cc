#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "rtc/sdp/build.h"
#include "rtc/sdp/description.h"

// Every offer that parses can be answered; answers are of the same grammar.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto offer = kollator::rtc::parse_offer(kollator::as_text({data, size}));
    if (offer.ok()) (void)kollator::rtc::build_answer(*offer, {});
    (void)kollator::rtc::parse_answer(kollator::as_text({data, size})).ok();
    return 0;
}
