#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/check.h"
#include "rtc/ice/candidate.h"

// What parses is written in a form that parses again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto candidate = kollator::rtc::parse_candidate(kollator::as_text({data, size}));
    if (!candidate.ok() || !candidate->has_value()) return 0;
    KOLLATOR_CHECK(kollator::rtc::parse_candidate(format_candidate(**candidate)).ok());
    return 0;
}
