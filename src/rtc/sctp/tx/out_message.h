#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "base/time.h"
#include "rtc/message_block.h"

namespace kollator::rtc::sctp {

/// A message from send() until all of it is acknowledged or given up: packets are made of its bytes
/// as often as needed.
struct OutMessage {
    std::uint32_t references = 0;  ///< MessageRefs; one thread
    std::uint32_t ppid = 0;
    std::uint16_t stream = 0;
    std::uint16_t ssn = 0;  ///< given with the first fragment
    bool ordered = true;
    bool abandoned = false;
    std::int32_t max_retransmits = -1;   ///< -1: reliable
    std::int32_t max_lifetime_ms = -1;   ///< -1: reliable
    std::optional<TimePoint> expires{};  ///< from the first poll() that saw it
    std::uint32_t size_bytes = 0;
    std::uint32_t sent_bytes = 0;   ///< already cut into chunks
    std::uint32_t ended_bytes = 0;  ///< of chunks that are done with
    MessageBlock block;
};

/// Shares a message among the queue and its outstanding chunks.
class MessageRef {
 public:
    MessageRef() = default;
    explicit MessageRef(OutMessage* message) : message_(message) {
        if (message_ != nullptr) ++message_->references;
    }
    MessageRef(const MessageRef& other) : MessageRef(other.message_) {}
    MessageRef(MessageRef&& other) noexcept : message_(std::exchange(other.message_, nullptr)) {}
    MessageRef& operator=(MessageRef other) noexcept {
        std::swap(message_, other.message_);
        return *this;
    }
    ~MessageRef() {
        if (message_ != nullptr && --message_->references == 0) delete message_;
    }

    OutMessage* operator->() const { return message_; }
    OutMessage& operator*() const { return *message_; }
    explicit operator bool() const { return message_ != nullptr; }

 private:
    OutMessage* message_ = nullptr;
};

}  // namespace kollator::rtc::sctp
