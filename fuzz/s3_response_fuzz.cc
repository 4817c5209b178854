// What an S3 server answers: list pages and error documents.
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "store/s3/responses.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size_bytes) {
    const std::string_view xml = kollator::as_text({data, size_bytes});
    (void)kollator::store::s3::parse_list(xml);
    (void)kollator::store::s3::parse_error(xml);
    return 0;
}
