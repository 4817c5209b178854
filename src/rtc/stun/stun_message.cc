#include "rtc/stun/stun_message.h"

#include <algorithm>

#include "crypto/hash.h"
#include "rtc/stun/crc32.h"

namespace kollator::rtc {

namespace {

constexpr std::size_t kAttributeHeaderBytes = 4;
constexpr std::size_t kIntegrityBytes = kAttributeHeaderBytes + 20;
constexpr std::size_t kFingerprintBytes = kAttributeHeaderBytes + 4;
// RFC 8489 14.7: "XOR'ed with the 32-bit value 0x5354554e", so that it differs from a CRC-32 that
// the application's own protocol may carry.
constexpr std::uint32_t kFingerprintXor = 0x5354554e;
constexpr std::uint8_t kFamilyV4 = 1;
constexpr std::uint8_t kFamilyV6 = 2;

constexpr std::size_t padded(std::size_t size) {
    return (size + 3) & ~std::size_t{3};
}

Error invalid(const char* what) {
    return make_error(ErrorCode::kInvalid, what);
}

// RFC 8489 5: the class's two bits stand at 4 and 8 of the type, between those of the method.
std::uint16_t encode_type(StunClass message_class, std::uint16_t method) {
    const auto bits = static_cast<std::uint16_t>(message_class);
    return static_cast<std::uint16_t>((method & 0x000F) | ((method & 0x0070) << 1) |
                                      ((method & 0x0F80) << 2) | ((bits & 1) << 4) |
                                      ((bits & 2) << 7));
}

void decode_type(std::uint16_t type, StunMessage& message) {
    message.message_class = static_cast<StunClass>(((type >> 4) & 1) | ((type >> 7) & 2));
    message.method = static_cast<std::uint16_t>((type & 0x000F) | ((type >> 1) & 0x0070) |
                                                ((type >> 2) & 0x0F80));
}

// The key that an address is XORed with: the cookie, then the transaction id (RFC 8489 14.2).
std::array<std::uint8_t, 16> xor_key(const TransactionId& transaction) {
    std::array<std::uint8_t, 16> key{};
    store_u32(key.data(), kStunMagicCookie);
    std::copy(transaction.begin(), transaction.end(), key.begin() + 4);
    return key;
}

std::optional<SocketAddress> read_address(ByteSpan value, const std::array<std::uint8_t, 16>& key) {
    ByteReader reader(value);
    reader.u8();
    const std::uint8_t family = reader.u8();
    const std::uint16_t port = reader.u16() ^ load_u16(key.data());
    std::array<std::uint8_t, 16> raw{};
    const std::size_t size = family == kFamilyV6 ? 16 : 4;
    if ((family != kFamilyV4 && family != kFamilyV6) || reader.remaining() != size) {
        return std::nullopt;
    }
    const ByteSpan bytes = reader.bytes(size);
    for (std::size_t i = 0; i < size; ++i) raw[i] = bytes[i] ^ key[i];
    return SocketAddress{
        family == kFamilyV6 ? IpAddress::v6(raw) : IpAddress::v4({raw[0], raw[1], raw[2], raw[3]}),
        port};
}

bool read_error(ByteSpan value, StunMessage& message) {
    if (value.size() < 4) return false;
    const unsigned hundreds = value[2] & 0x07;
    const unsigned units = value[3];
    if (hundreds < 3 || hundreds > 6 || units > 99) return false;
    message.error =
        StunError{static_cast<std::uint16_t>(hundreds * 100 + units), as_text(value.subspan(4))};
    return true;
}

template <typename Integer>
bool read_integer(ByteSpan value, std::optional<Integer>& out) {
    if (value.size() != sizeof(Integer)) return false;
    // RFC 8489 14: "any attribute type that appears more than once ... only the first occurrence
    // needs to be processed".
    if (out) return true;
    if constexpr (sizeof(Integer) == 4) {
        out = load_u32(value.data());
    } else {
        out = load_u64(value.data());
    }
    return true;
}

bool read_text(ByteSpan value, std::optional<std::string_view>& out) {
    // RFC 8489 14.9 and 14.10: "fewer than 128 characters, which can be as long as 763 bytes".
    if (value.size() > 763) return false;
    if (!out) out = as_text(value);
    return true;
}

bool read_turn_attribute(StunAttribute type, ByteSpan value, StunMessage& message) {
    const std::array<std::uint8_t, 16> key = xor_key(message.transaction);
    switch (type) {
        case StunAttribute::kRealm:
            return read_text(value, message.realm);
        case StunAttribute::kNonce:
            return read_text(value, message.nonce);
        case StunAttribute::kXorRelayedAddress:
            message.relayed_address = read_address(value, key);
            return message.relayed_address.has_value();
        case StunAttribute::kXorPeerAddress:
            message.peer_address = read_address(value, key);
            return message.peer_address.has_value();
        case StunAttribute::kLifetime:
            return read_integer(value, message.lifetime_s);
        default:
            message.data = value;
            return true;
    }
}

bool read_attribute(std::uint16_t type, ByteSpan value, StunMessage& message) {
    switch (static_cast<StunAttribute>(type)) {
        case StunAttribute::kUsername:
            // RFC 8489 14.3: "the username MUST contain ... less than 509 bytes".
            if (value.size() > 508) return false;
            if (!message.username) message.username = as_text(value);
            return true;
        case StunAttribute::kXorMappedAddress:
            message.mapped_address = read_address(value, xor_key(message.transaction));
            return message.mapped_address.has_value();
        case StunAttribute::kMappedAddress:
            if (!message.mapped_address) message.mapped_address = read_address(value, {});
            return message.mapped_address.has_value();
        case StunAttribute::kPriority:
            return read_integer(value, message.priority);
        case StunAttribute::kIceControlled:
            return read_integer(value, message.ice_controlled);
        case StunAttribute::kIceControlling:
            return read_integer(value, message.ice_controlling);
        case StunAttribute::kUseCandidate:
            message.use_candidate = true;
            return value.empty();
        case StunAttribute::kErrorCode:
            return read_error(value, message);
        case StunAttribute::kRealm:
        case StunAttribute::kNonce:
        case StunAttribute::kXorRelayedAddress:
        case StunAttribute::kXorPeerAddress:
        case StunAttribute::kLifetime:
        case StunAttribute::kData:
            return read_turn_attribute(static_cast<StunAttribute>(type), value, message);
        case StunAttribute::kMessageIntegrity:
        case StunAttribute::kUnknownAttributes:
        case StunAttribute::kChannelNumber:
        case StunAttribute::kRequestedTransport:
        case StunAttribute::kSoftware:
        case StunAttribute::kFingerprint:
            return true;
    }
    const bool required = type < 0x8000;
    if (required && message.unknown_required.size() < kMaxUnknownAttributes) {
        message.unknown_required.push_back(type);
    }
    return true;
}

// What the fingerprint at `offset` must be: it is always the last attribute, so the length field
// already counts it.
std::uint32_t fingerprint_of(ByteSpan datagram, std::size_t offset) {
    return crc32(datagram.first(offset)) ^ kFingerprintXor;
}

}  // namespace

bool looks_like_stun(ByteSpan datagram) {
    return datagram.size() >= kStunHeaderBytes && datagram[0] < 4 &&
           load_u32(datagram.data() + 4) == kStunMagicCookie;
}

Result<StunMessage> parse_stun(ByteSpan datagram) {
    if (!looks_like_stun(datagram)) return invalid("no STUN message");
    const std::size_t length = load_u16(datagram.data() + 2);
    if (length % 4 != 0 || length != datagram.size() - kStunHeaderBytes) {
        return invalid("STUN length field does not match the datagram");
    }
    StunMessage message;
    decode_type(load_u16(datagram.data()), message);
    std::copy_n(datagram.begin() + 8, message.transaction.size(), message.transaction.begin());

    std::size_t offset = kStunHeaderBytes;
    while (offset < datagram.size()) {
        if (datagram.size() - offset < kAttributeHeaderBytes) return invalid("attribute cut off");
        const std::uint16_t type = load_u16(datagram.data() + offset);
        const std::size_t size = load_u16(datagram.data() + offset + 2);
        const std::size_t room = datagram.size() - offset - kAttributeHeaderBytes;
        if (padded(size) > room) return invalid("attribute longer than the message");
        const ByteSpan value = datagram.subspan(offset + kAttributeHeaderBytes, size);

        if (type == static_cast<std::uint16_t>(StunAttribute::kFingerprint)) {
            const bool last = offset + kFingerprintBytes == datagram.size();
            if (size != 4 || !last) return invalid("FINGERPRINT is not the last attribute");
            if (load_u32(value.data()) != fingerprint_of(datagram, offset)) {
                return invalid("wrong FINGERPRINT");
            }
            message.has_fingerprint = true;
        } else if (!message.integrity_offset) {
            if (type == static_cast<std::uint16_t>(StunAttribute::kMessageIntegrity)) {
                if (size != 20) return invalid("MESSAGE-INTEGRITY of a wrong size");
                message.integrity_offset = offset;
            } else if (!read_attribute(type, value, message)) {
                return invalid("malformed attribute");
            }
        }
        offset += kAttributeHeaderBytes + padded(size);
    }
    return message;
}

bool verify_integrity(ByteSpan datagram, const StunMessage& message, std::string_view key) {
    if (!message.integrity_offset) return false;
    const std::size_t offset = *message.integrity_offset;
    // RFC 8489 14.5: hashed is the text up to, and excluding, the attribute, with a length field
    // that counts up to, and including, the attribute.
    Bytes text(datagram.begin(), datagram.begin() + static_cast<std::ptrdiff_t>(offset));
    store_u16(text.data() + 2,
              static_cast<std::uint16_t>(offset + kIntegrityBytes - kStunHeaderBytes));
    const crypto::Sha1Digest digest = crypto::hmac_sha1(as_bytes(key), text);
    return crypto::constant_time_equal(
        digest, datagram.subspan(offset + kAttributeHeaderBytes, digest.size()));
}

StunBuilder::StunBuilder(StunClass message_class, std::uint16_t method,
                         const TransactionId& transaction)
    : transaction_(transaction) {
    bytes_.reserve(128);
    ByteWriter writer(bytes_);
    writer.u16(encode_type(message_class, method));
    writer.u16(0);
    writer.u32(kStunMagicCookie);
    writer.bytes(transaction);
}

StunBuilder& StunBuilder::attribute(StunAttribute type, ByteSpan value) {
    ByteWriter writer(bytes_);
    writer.u16(static_cast<std::uint16_t>(type));
    writer.u16(static_cast<std::uint16_t>(value.size()));
    writer.bytes(value);
    bytes_.resize(padded(bytes_.size()));
    set_length(bytes_.size() - kStunHeaderBytes);
    return *this;
}

StunBuilder& StunBuilder::username(std::string_view value) {
    return attribute(StunAttribute::kUsername, as_bytes(value));
}

StunBuilder& StunBuilder::software(std::string_view value) {
    return attribute(StunAttribute::kSoftware, as_bytes(value));
}

StunBuilder& StunBuilder::xor_address(StunAttribute type, const SocketAddress& value) {
    const std::array<std::uint8_t, 16> key = xor_key(transaction_);
    const ByteSpan ip = value.ip.bytes();
    Bytes raw{0, value.ip.is_v6() ? kFamilyV6 : kFamilyV4};
    ByteWriter writer(raw);
    writer.u16(value.port ^ load_u16(key.data()));
    for (std::size_t i = 0; i < ip.size(); ++i) writer.u8(ip[i] ^ key[i]);
    return attribute(type, raw);
}

StunBuilder& StunBuilder::u32(StunAttribute type, std::uint32_t value) {
    std::uint8_t raw[4];
    store_u32(raw, value);
    return attribute(type, raw);
}

StunBuilder& StunBuilder::priority(std::uint32_t value) {
    return u32(StunAttribute::kPriority, value);
}

StunBuilder& StunBuilder::use_candidate() {
    return attribute(StunAttribute::kUseCandidate, {});
}

StunBuilder& StunBuilder::ice_controlled(std::uint64_t tie_breaker) {
    std::uint8_t raw[8];
    store_u64(raw, tie_breaker);
    return attribute(StunAttribute::kIceControlled, raw);
}

StunBuilder& StunBuilder::ice_controlling(std::uint64_t tie_breaker) {
    std::uint8_t raw[8];
    store_u64(raw, tie_breaker);
    return attribute(StunAttribute::kIceControlling, raw);
}

StunBuilder& StunBuilder::error(StunErrorCode code, std::string_view reason) {
    const auto number = static_cast<std::uint16_t>(code);
    Bytes raw{0, 0, static_cast<std::uint8_t>(number / 100),
              static_cast<std::uint8_t>(number % 100)};
    ByteWriter(raw).bytes(as_bytes(reason));
    return attribute(StunAttribute::kErrorCode, raw);
}

StunBuilder& StunBuilder::unknown_attributes(const std::vector<std::uint16_t>& types) {
    Bytes raw;
    ByteWriter writer(raw);
    for (const std::uint16_t type : types) writer.u16(type);
    return attribute(StunAttribute::kUnknownAttributes, raw);
}

StunBuilder& StunBuilder::integrity(std::string_view key) {
    set_length(bytes_.size() + kIntegrityBytes - kStunHeaderBytes);
    const crypto::Sha1Digest digest = crypto::hmac_sha1(as_bytes(key), bytes_);
    return attribute(StunAttribute::kMessageIntegrity, digest);
}

StunBuilder& StunBuilder::fingerprint() {
    set_length(bytes_.size() + kFingerprintBytes - kStunHeaderBytes);
    std::uint8_t raw[4];
    store_u32(raw, fingerprint_of(bytes_, bytes_.size()));
    return attribute(StunAttribute::kFingerprint, raw);
}

void StunBuilder::set_length(std::size_t attributes_bytes) {
    store_u16(bytes_.data() + 2, static_cast<std::uint16_t>(attributes_bytes));
}

}  // namespace kollator::rtc
