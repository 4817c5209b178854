// Any bytes as a signaling message. What decodes must encode to something that decodes again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "base/bytes.h"
#include "signaling/message.h"

using namespace kollator;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto message = signaling::decode_message(as_text({data, size}));
    if (!message.ok()) {
        if (message.error().detail.empty()) std::abort();
        return 0;
    }
    const std::string text = signaling::encode_message(*message);
    const auto again = signaling::decode_message(text);
    // Escapes may make it longer than it came; nothing else may refuse it.
    if (!again.ok() && again.error().code != ErrorCode::kLimit) std::abort();
    if (again.ok() && again->index() != message->index()) std::abort();
    return 0;
}
