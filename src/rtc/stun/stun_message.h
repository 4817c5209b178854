#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "rtc/socket_address.h"

namespace kollator::rtc {

// STUN (RFC 8489) as ICE (RFC 8445) and TURN (RFC 8656) need it. All integers are big-endian.
//
//   0      2      4              8                              20
//   +------+------+--------------+------------------------------+---------------
//   | type |length| magic cookie | transaction id (12 bytes)    | attributes ...
//   +------+------+--------------+------------------------------+---------------
//   attribute: type u16, length u16, value, padding to 4 bytes
constexpr std::size_t kStunHeaderBytes = 20;
constexpr std::uint32_t kStunMagicCookie = 0x2112A442;

using TransactionId = std::array<std::uint8_t, 12>;

enum class StunClass : std::uint8_t { kRequest, kIndication, kSuccess, kError };

constexpr std::uint16_t kStunBinding = 0x001;
constexpr std::uint16_t kTurnAllocate = 0x003;
constexpr std::uint16_t kTurnRefresh = 0x004;
constexpr std::uint16_t kTurnSend = 0x006;
constexpr std::uint16_t kTurnData = 0x007;
constexpr std::uint16_t kTurnCreatePermission = 0x008;
constexpr std::uint16_t kTurnChannelBind = 0x009;

enum class StunAttribute : std::uint16_t {
    kMappedAddress = 0x0001,
    kUsername = 0x0006,
    kMessageIntegrity = 0x0008,
    kErrorCode = 0x0009,
    kUnknownAttributes = 0x000A,
    kChannelNumber = 0x000C,
    kLifetime = 0x000D,
    kXorPeerAddress = 0x0012,
    kData = 0x0013,
    kRealm = 0x0014,
    kNonce = 0x0015,
    kXorRelayedAddress = 0x0016,
    kRequestedTransport = 0x0019,
    kXorMappedAddress = 0x0020,
    kPriority = 0x0024,
    kUseCandidate = 0x0025,
    kSoftware = 0x8022,
    kFingerprint = 0x8028,
    kIceControlled = 0x8029,
    kIceControlling = 0x802A,
};

enum class StunErrorCode : std::uint16_t {
    kBadRequest = 400,
    kUnauthenticated = 401,
    kUnknownAttribute = 420,
    kAllocationMismatch = 437,
    kStaleNonce = 438,
    kRoleConflict = 487,
};

struct StunError {
    std::uint16_t code = 0;  ///< 300..699
    std::string_view reason;
};

/// A parsed message: views into the datagram it was parsed from.
struct StunMessage {
    StunClass message_class = StunClass::kRequest;
    std::uint16_t method = kStunBinding;
    TransactionId transaction{};

    std::optional<std::string_view> username;
    std::optional<SocketAddress> mapped_address;  ///< XOR-MAPPED-ADDRESS, else MAPPED-ADDRESS
    std::optional<std::uint32_t> priority;
    bool use_candidate = false;
    std::optional<std::uint64_t> ice_controlled;
    std::optional<std::uint64_t> ice_controlling;
    std::optional<StunError> error;
    // Long-term credentials and TURN.
    std::optional<std::string_view> realm;
    std::optional<std::string_view> nonce;
    std::optional<SocketAddress> relayed_address;
    std::optional<SocketAddress> peer_address;
    std::optional<std::uint32_t> lifetime_s;
    std::optional<ByteSpan> data;
    /// Of the comprehension-required kind (below 0x8000), at most kMaxUnknownAttributes.
    std::vector<std::uint16_t> unknown_required;

    /// Where MESSAGE-INTEGRITY begins; verify with verify_integrity().
    std::optional<std::size_t> integrity_offset;
    bool has_fingerprint = false;  ///< and it was right, or parse_stun would have failed
};

constexpr std::size_t kMaxUnknownAttributes = 16;

/// True where the first byte and the cookie say STUN (RFC 7983, RFC 8489 6.3). Cheap.
bool looks_like_stun(ByteSpan datagram);

/// kInvalid: no well-formed STUN message, or a wrong FINGERPRINT. What stands after
/// MESSAGE-INTEGRITY is ignored but for FINGERPRINT (RFC 8489 14.5).
Result<StunMessage> parse_stun(ByteSpan datagram);

/// True where `message`, parsed from `datagram`, holds a MESSAGE-INTEGRITY made with `key`.
bool verify_integrity(ByteSpan datagram, const StunMessage& message, std::string_view key);

/// Builds one message into a buffer of its own. Attributes stand in the order of the calls;
/// integrity() and fingerprint() come last.
class StunBuilder {
 public:
    StunBuilder(StunClass message_class, std::uint16_t method, const TransactionId& transaction);

    StunBuilder& username(std::string_view value);
    StunBuilder& software(std::string_view value);
    StunBuilder& xor_mapped_address(const SocketAddress& value) {
        return xor_address(StunAttribute::kXorMappedAddress, value);
    }
    StunBuilder& xor_address(StunAttribute type, const SocketAddress& value);
    StunBuilder& priority(std::uint32_t value);
    StunBuilder& use_candidate();
    StunBuilder& ice_controlled(std::uint64_t tie_breaker);
    StunBuilder& ice_controlling(std::uint64_t tie_breaker);
    StunBuilder& error(StunErrorCode code, std::string_view reason);
    StunBuilder& unknown_attributes(const std::vector<std::uint16_t>& types);
    StunBuilder& u32(StunAttribute type, std::uint32_t value);
    StunBuilder& attribute(StunAttribute type, ByteSpan value);
    StunBuilder& integrity(std::string_view key);
    StunBuilder& fingerprint();
    Bytes finish() { return std::move(bytes_); }

 private:
    void set_length(std::size_t attributes_bytes);

    Bytes bytes_;
    TransactionId transaction_;
};

}  // namespace kollator::rtc
