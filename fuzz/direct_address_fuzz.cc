#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/check.h"
#include "rtc/direct_address.h"

// An address that parses is written in a form that gives it again; a user name that tells of a
// client leads back to itself.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace kollator::rtc;
    const std::string_view text = kollator::as_text({data, size});
    if (const auto address = parse_direct_address(text); address.ok()) {
        const auto again = parse_direct_address(format_direct_address(*address));
        KOLLATOR_CHECK(again.ok() && *again == *address);
    }
    if (const auto client = direct_client(text)) {
        KOLLATOR_CHECK(direct_credentials(client->password).ufrag + ":" + client->ufrag == text);
    }
    return 0;
}
