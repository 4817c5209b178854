// Any bytes as a message. What decodes must encode to the same bytes (JSON documents apart), and
// what is refused must say why.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "protocol/any_body.h"

using namespace kollator;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteSpan bytes(data, size);
    const auto message = protocol::decode_message(bytes);
    if (!message.ok()) {
        if (message.error().detail.empty()) std::abort();
        return 0;
    }
    const auto body = protocol::decode_body(*message);
    if (!body.ok()) {
        if (body.error().detail.empty()) std::abort();
        return 0;
    }
    const Bytes written = protocol::encode_message(message->header, *body);
    const bool is_document = std::holds_alternative<protocol::Hello>(*body) ||
                             std::holds_alternative<protocol::Auth>(*body);
    if (is_document) {
        // Written anew it may look otherwise, but it must still be read. A version that is not ours
        // keeps only its number.
        const auto again = protocol::decode_message(written);
        if (!again.ok() || !protocol::decode_body(*again).ok()) std::abort();
    } else if (written != Bytes(bytes.begin(), bytes.end())) {
        std::abort();
    }
    return 0;
}
