// A sealed body of any bytes is refused or is one that was sealed; AUTH's JSON is read or refused.
#include <cstdint>
#include <cstdlib>

#include "cluster/seal.h"
#include "protocol/hello.h"

using namespace kollator;

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteSpan input(data, size);
    const auto auth = protocol::decode_auth(input);
    if (auth) {
        Bytes again;
        protocol::encode(*auth, again);
        const auto read = protocol::decode_auth(again);
        require(read.ok() && *read == *auth);
    }

    const auto message = protocol::decode_message(input);
    if (!message) return 0;
    protocol::Header header = message->header;
    header.flags = header.flags | protocol::Flag::kEncrypted;
    cluster::LinkOpener opener(cluster::LinkKey{1});
    Bytes out;
    // The fuzzer knows no key: nothing that it makes up verifies.
    require(!opener.open(header, message->body, out).ok());
    cluster::LinkSealer sealer(cluster::LinkKey{1});
    Bytes sealed;
    sealer.seal(header, message->body.first(message->body.size() / 2),
                message->body.subspan(message->body.size() / 2), sealed);
    require(opener.open(header, sealed, out).ok());
    require(Bytes(message->body.begin(), message->body.end()) == out);
    require(!opener.open(header, sealed, out).ok());
    return 0;
}
