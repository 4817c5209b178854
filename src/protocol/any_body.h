#pragma once

#include <string_view>
#include <variant>

#include "protocol/blobs.h"
#include "protocol/catalog.h"
#include "protocol/discovery.h"
#include "protocol/hello.h"
#include "protocol/message.h"

namespace kollator::protocol {

/// HEALTH_CHECK's request, and CANCEL.
struct EmptyBody {};

/// HEALTH_CHECK's answer: a JSON object. A view into what was decoded.
struct HealthAnswer {
    std::string_view json;
};

/// Whatever may stand behind a header.
using AnyBody = std::variant<EmptyBody, ErrorBody, Hello, ChunkRequest, MetadataRequest,
                             ResponseFragment, ChunkStore, MetadataStore, StoreAnswer, ListRequest,
                             ListAnswer, AnnounceRequest, AnnounceAnswer, LookupRequest,
                             LookupAnswer, StatRequest, StatAnswer, HealthAnswer, Auth>;

/// Decodes the body that `message`'s type and flags announce. kNotFound: an unknown type, or a body
/// that is compressed or sealed (UNSUPPORTED to its sender). kInvalid, kLimit: malformed. For those
/// who must take every message as it comes: fuzzers, tests, tools.
Result<AnyBody> decode_body(const Message& message);

/// Appends what decode_body() read.
void encode(const AnyBody& body, Bytes& out);

}  // namespace kollator::protocol
