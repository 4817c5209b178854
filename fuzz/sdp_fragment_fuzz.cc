// Any bytes as an application/trickle-ice-sdpfrag body.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "base/bytes.h"
#include "http/sdp_fragment.h"

using namespace kollator;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto fragment = http::parse_sdp_fragment(as_text({data, size}));
    if (!fragment.ok()) {
        if (fragment.error().detail.empty()) std::abort();
        return 0;
    }
    if (fragment->candidates.size() > http::kMaxFragmentCandidates) std::abort();
    for (const std::string& candidate : fragment->candidates) {
        if (!candidate.starts_with("candidate:")) std::abort();
        if (candidate.find_first_of("\r\n") != std::string::npos) std::abort();
    }
    return 0;
}
