#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "rtc/ice/candidate_pair.h"

namespace kollator::rtc {

/// Datagrams of one path that the kernel can cut out of one block: all of `segment_bytes`, but for
/// the last, which may be shorter (UDP_SEGMENT).
struct SendRun {
    IcePath path;
    ByteSpan bytes;  ///< valid until the queue changes
    std::size_t segment_bytes = 0;
    std::size_t count = 0;
};

/// Outgoing datagrams in the order in which they were queued, in one block of memory.
class SendQueue {
 public:
    /// What a second of 32 Mbit/s holds; over it datagrams are dropped.
    static constexpr std::size_t kMaxBytes = 4 * 1024 * 1024;
    // A UDP datagram's largest payload over IPv4: 65,535 - 20 (IP) - 8 (UDP).
    static constexpr std::size_t kMaxRunBytes = 65507;

    /// False where it is full.
    bool push(const IcePath& path, ByteSpan datagram);

    bool empty() const { return next_ == entries_.size(); }
    std::size_t bytes() const { return storage_.size() - sent_bytes_; }

    /// The longest run of at most `max_count` datagrams that begins `skip` datagrams after the
    /// front. REQUIRES: so many are queued.
    SendRun run_at(std::size_t skip, std::size_t max_count) const;
    std::size_t size() const { return entries_.size() - next_; }
    /// Takes `count` datagrams off the front.
    void pop(std::size_t count);

 private:
    struct Entry {
        IcePath path;
        std::size_t offset;
        std::size_t size;
    };

    Bytes storage_;
    std::vector<Entry> entries_;
    std::size_t next_ = 0;
    std::size_t sent_bytes_ = 0;
};

}  // namespace kollator::rtc
