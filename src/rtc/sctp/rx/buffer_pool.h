#pragma once

#include <utility>
#include <vector>

#include "base/bytes.h"

namespace kollator::rtc::sctp {

/// Keeps buffers of messages that were delivered for the next ones: their growth costs more than
/// the copy into them. One for all associations of a stack.
class BufferPool {
 public:
    Bytes take() {
        if (free_.empty()) return {};
        Bytes buffer = std::move(free_.back());
        free_.pop_back();
        held_bytes_ -= buffer.capacity();
        buffer.clear();
        return buffer;
    }
    /// For what is to stay: a message of a byte may be in a buffer of the largest one.
    void fit(Bytes& bytes) {
        if (bytes.capacity() <= bytes.size() + bytes.size() / 4 + kSpareBytes) return;
        Bytes fitting(bytes.begin(), bytes.end());
        give_back(std::exchange(bytes, std::move(fitting)));
    }
    void give_back(Bytes buffer) {
        if (buffer.capacity() < kWorthKeepingBytes) return;
        if (held_bytes_ + buffer.capacity() > kMaxHeldBytes) return;
        held_bytes_ += buffer.capacity();
        free_.push_back(std::move(buffer));
    }

    std::size_t held_bytes() const { return held_bytes_; }

 private:
    static constexpr std::size_t kSpareBytes = 64;
    static constexpr std::size_t kWorthKeepingBytes = 4096;
    static constexpr std::size_t kMaxHeldBytes = 4 * 1024 * 1024;

    std::vector<Bytes> free_;
    std::size_t held_bytes_ = 0;
};

}  // namespace kollator::rtc::sctp
