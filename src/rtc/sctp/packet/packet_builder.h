#pragma once

#include "base/bytes.h"
#include "rtc/sctp/packet/wire.h"

namespace kollator::rtc::sctp {

enum class Checksum : std::uint8_t { kCrc32c, kZero };

/// Puts one packet together in a buffer that is used again for the next; its size is the MTU.
class PacketBuilder {
 public:
    explicit PacketBuilder(std::size_t mtu_bytes) : buffer_(mtu_bytes) {}

    void begin(const CommonHeader& header);
    bool empty() const { return size_ <= kCommonHeaderBytes; }
    /// The largest value that one more chunk can have.
    std::size_t room() const {
        const std::size_t left = (buffer_.size() - size_) & ~std::size_t{3};
        return left < kChunkHeaderBytes ? 0 : left - kChunkHeaderBytes;
    }
    /// Appends a chunk and gives where its value goes. REQUIRES: value_bytes <= room().
    MutableByteSpan add(std::uint8_t type, std::uint8_t flags, std::size_t value_bytes);
    void add(std::uint8_t type, std::uint8_t flags, ByteSpan value);
    /// The packet, valid until begin().
    ByteSpan finish(Checksum checksum);

 private:
    Bytes buffer_;
    std::size_t size_ = 0;
};

}  // namespace kollator::rtc::sctp
