#include "rtc/dtls/record_layer.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"

namespace kollator::rtc {
namespace {

/// The epoch that a first handshake leads to; renegotiation, which would lead further, is refused.
constexpr std::uint16_t kEpoch = 1;
/// RFC 6347 4.1.2.1 and RFC 5246 6.2.3.3: epoch and sequence number, type, version, length.
constexpr std::size_t kAssociatedBytes = 13;

RecordCipher::Nonce make_nonce(const std::array<std::uint8_t, 4>& salt,
                               const std::uint8_t* explicit_part) {
    RecordCipher::Nonce nonce{};
    std::memcpy(nonce.data(), salt.data(), salt.size());
    std::memcpy(nonce.data() + salt.size(), explicit_part, RecordLayer::kExplicitNonceBytes);
    return nonce;
}

std::array<std::uint8_t, kAssociatedBytes> make_associated(RecordType type, std::uint64_t sequence,
                                                           std::size_t plain_bytes) {
    std::array<std::uint8_t, kAssociatedBytes> associated{};
    store_u64(associated.data(), (std::uint64_t{kEpoch} << 48) | sequence);
    associated[8] = static_cast<std::uint8_t>(type);
    store_u16(associated.data() + 9, kDtls12);
    store_u16(associated.data() + 11, static_cast<std::uint16_t>(plain_bytes));
    return associated;
}

}  // namespace

bool ReplayWindow::is_new(std::uint64_t sequence) const {
    if (sequence >= next_) return true;
    const std::uint64_t age = next_ - 1 - sequence;
    return age < kBits && (seen_ >> age & 1) == 0;
}

void ReplayWindow::mark(std::uint64_t sequence) {
    if (sequence >= next_) {
        const std::uint64_t ahead = sequence + 1 - next_;
        seen_ = ahead < kBits ? seen_ << ahead : 0;
        next_ = sequence + 1;
    }
    seen_ |= std::uint64_t{1} << (next_ - 1 - sequence);
}

std::unique_ptr<RecordLayer> RecordLayer::make(const DirectionKeys& ours,
                                               const DirectionKeys& peers,
                                               std::uint64_t first_sequence) {
    auto sealer = make_record_cipher(ours.key, CipherDirection::kSeal);
    auto opener = make_record_cipher(peers.key, CipherDirection::kOpen);
    if (!sealer || !opener) return nullptr;
    return std::make_unique<RecordLayer>(std::move(sealer), ours.salt, std::move(opener),
                                         peers.salt, first_sequence);
}

RecordLayer::RecordLayer(std::unique_ptr<RecordCipher> sealer, std::array<std::uint8_t, 4> our_salt,
                         std::unique_ptr<RecordCipher> opener,
                         std::array<std::uint8_t, 4> peers_salt, std::uint64_t first_sequence)
    : sealer_(std::move(sealer)),
      opener_(std::move(opener)),
      our_salt_(our_salt),
      peers_salt_(peers_salt),
      next_sequence_(first_sequence) {}

std::size_t RecordLayer::seal(RecordType type, ByteSpan plain, MutableByteSpan out) {
    KOLLATOR_CHECK(plain.size() <= kMaxRecordBytes && out.size() >= plain.size() + kOverheadBytes);
    // RFC 6347 4.1: "the sequence number ... MUST NOT be allowed to wrap".
    if (next_sequence_ > kLastSequence) return 0;
    const std::uint64_t sequence = next_sequence_++;
    const std::size_t fragment_bytes = plain.size() + kOverheadBytes - kRecordHeaderBytes;
    std::uint8_t* const explicit_nonce = out.data() + kRecordHeaderBytes;
    write_record_header(out.data(), type, kEpoch, sequence, fragment_bytes);
    // RFC 5288 3: "The nonce_explicit MAY be the 64-bit sequence number." OpenSSL's, in the
    // handshake, began at a random one: with the same key they meet once in 2^64.
    store_u64(explicit_nonce, (std::uint64_t{kEpoch} << 48) | sequence);
    const bool sealed = sealer_->seal(make_nonce(our_salt_, explicit_nonce),
                                      make_associated(type, sequence, plain.size()), plain,
                                      explicit_nonce + kExplicitNonceBytes);
    return sealed ? plain.size() + kOverheadBytes : 0;
}

std::optional<std::size_t> RecordLayer::open(const Record& record, MutableByteSpan out) {
    constexpr std::size_t kLeast = kExplicitNonceBytes + RecordCipher::kTagBytes;
    if (record.epoch != kEpoch || record.version != kDtls12 || record.fragment.size() < kLeast ||
        record.fragment.size() > kLeast + kMaxRecordBytes || !window_.is_new(record.sequence)) {
        return std::nullopt;
    }
    const std::size_t plain_bytes = record.fragment.size() - kLeast;
    KOLLATOR_CHECK(out.size() >= plain_bytes);
    if (!opener_->open(make_nonce(peers_salt_, record.fragment.data()),
                       make_associated(record.type, record.sequence, plain_bytes),
                       record.fragment.subspan(kExplicitNonceBytes), out.data())) {
        return std::nullopt;
    }
    window_.mark(record.sequence);
    return plain_bytes;
}

}  // namespace kollator::rtc
