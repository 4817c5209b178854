#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

// The frame of every message on a data channel (docs/protocol.md, 2.1). Pure functions.
//
//     0      1       2       3       4       5       6
//     +------+-------+-------+-------+-------+-------+----------
//     | type | flags |        request id (u32)       | body ...
//     +------+-------+-------+-------+-------+-------+----------
namespace kollator::protocol {

inline constexpr std::uint32_t kVersion = 1;
inline constexpr std::size_t kHeaderBytes = 1 + 1 + 4;
/// What a worker advertises as a=max-message-size.
inline constexpr std::size_t kMaxMessageBytes = 262'144;
/// MAX_CHUNK_BYTES by default: 5 MiB.
inline constexpr std::uint32_t kDefaultMaxChunkBytes = 5 * 1024 * 1024;

/// docs/protocol.md 2.2. A decoded header may hold a value that is none of these: is_known().
enum class MessageType : std::uint8_t {
    kHello = 0x00,
    kChunkRequest = 0x01,
    kChunkResponse = 0x02,
    kChunkStore = 0x03,
    kChunkList = 0x04,
    kDhtAnnounce = 0x05,
    kHealthCheck = 0x06,
    kDhtLookup = 0x07,
    kMetadataStore = 0x08,
    kMetadataRequest = 0x09,
    kAuth = 0x0A,
    kCancel = 0x0B,
    kChunkStat = 0x0C,
};
inline constexpr std::size_t kMessageTypes = 13;

bool is_known(MessageType type);
/// "CHUNK_REQUEST"; "UNKNOWN" for what is_known() denies.
std::string_view to_string(MessageType type);
/// The type of a request's answers: kChunkResponse for kChunkRequest, else the type itself. An
/// error answer has it too.
MessageType answer_type(MessageType request);

enum class Flag : std::uint8_t {
    kCompressed = 0x01,
    kEncrypted = 0x02,
    kMore = 0x04,
    kError = 0x08,
    kResponse = 0x80,
};

/// A set of flags.
class Flags {
 public:
    constexpr Flags() = default;
    constexpr Flags(Flag flag) : bits_(static_cast<std::uint8_t>(flag)) {}
    static constexpr Flags from_bits(std::uint8_t bits) {
        Flags flags;
        flags.bits_ = bits;
        return flags;
    }

    constexpr bool has(Flag flag) const { return (bits_ & static_cast<std::uint8_t>(flag)) != 0; }
    /// True where a bit is set that the contract does not name.
    constexpr bool has_unknown() const { return (bits_ & ~kKnownBits) != 0; }
    constexpr std::uint8_t bits() const { return bits_; }
    constexpr Flags without(Flag flag) const {
        return from_bits(static_cast<std::uint8_t>(bits_ & ~static_cast<std::uint8_t>(flag)));
    }

    friend constexpr Flags operator|(Flags a, Flags b) {
        return from_bits(static_cast<std::uint8_t>(a.bits_ | b.bits_));
    }
    constexpr bool operator==(const Flags&) const = default;

 private:
    static constexpr std::uint8_t kKnownBits = 0x01 | 0x02 | 0x04 | 0x08 | 0x80;
    std::uint8_t bits_ = 0;
};
constexpr Flags operator|(Flag a, Flag b) {
    return Flags(a) | Flags(b);
}

/// Chosen by the requester; means something on one channel only.
enum class RequestId : std::uint32_t {};
constexpr std::uint32_t to_number(RequestId id) {
    return static_cast<std::uint32_t>(id);
}

struct Header {
    MessageType type = MessageType::kHello;
    Flags flags;
    RequestId request_id{};

    bool operator==(const Header&) const = default;
};

/// `body` is a view into what was decoded.
struct Message {
    Header header;
    ByteSpan body;
};

/// Empty where there are fewer than kHeaderBytes. Checks nothing else: it is for answering what
/// decode_message() refused.
std::optional<Header> peek_header(ByteSpan bytes);

/// kInvalid: too short, an unknown flag, ERROR without RESPONSE, or an answer's type
/// (CHUNK_RESPONSE) without RESPONSE. Unknown types pass: the receiver answers them with
/// UNSUPPORTED.
Result<Message> decode_message(ByteSpan bytes);

std::array<std::uint8_t, kHeaderBytes> encode_header(const Header& header);

/// A whole message: the header, and what encode(body, out) of the body's type appends.
template <typename Body>
Bytes encode_message(const Header& header, const Body& body) {
    const auto head = encode_header(header);
    Bytes out(head.begin(), head.end());
    encode(body, out);
    return out;
}
/// A message without a body.
Bytes encode_message(const Header& header);

/// docs/protocol.md 2.4.
enum class WireError : std::uint16_t {
    kBadRequest = 1,
    kNotFound = 2,
    kTooLarge = 3,
    kHashMismatch = 4,
    kBusy = 5,
    kUnavailable = 6,
    kUnauthorized = 7,
    kUnsupported = 8,
    kCancelled = 9,
    kInternal = 10,
    kQuota = 11,
};
inline constexpr std::size_t kWireErrors = 11;

/// "BAD_REQUEST"; "UNKNOWN" for a number that is none of the contract's.
std::string_view to_string(WireError code);

/// The body of a message with ERROR set.
///
///     +-----------+----------------------+-------------------------
///     | code u16  | retry-after u32, ms  | message, UTF-8, to the end
///     +-----------+----------------------+-------------------------
struct ErrorBody {
    WireError code = WireError::kInternal;  ///< may hold a number that this version does not know
    std::uint32_t retry_after_ms = 0;       ///< 0: no advice
    std::string_view message;               ///< a view into what was decoded; not checked
};
inline constexpr std::size_t kErrorHeadBytes = 2 + 4;

Result<ErrorBody> decode_error(ByteSpan body);
void encode(const ErrorBody& error, Bytes& out);

}  // namespace kollator::protocol
