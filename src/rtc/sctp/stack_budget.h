#pragma once

#include <algorithm>

#include "rtc/sctp/sctp_association.h"

namespace kollator::rtc {

/// What all associations of a stack share: bounds on what they buffer to be sent, and on what they
/// hold unread and promise to hold.
class StackBudget {
 public:
    explicit StackBudget(const SctpStackOptions& options)
        : options_(options),
          receive_bytes_(std::max(options.receive_budget_bytes, kLeastReceiveBytes)) {}

    const SctpStats& stats() const { return stats_; }
    /// Moves the count of what all associations have buffered.
    void change_buffered(std::size_t before, std::size_t after) {
        stats_.buffered_bytes += after - before;
    }
    void add_retransmitted(std::uint64_t bytes) { stats_.retransmitted_bytes += bytes; }
    bool over_budget() const { return stats_.buffered_bytes >= options_.send_budget_bytes; }

    /// Moves the count of what all associations hold unread.
    void change_unread(std::size_t before, std::size_t after) {
        stats_.unread_bytes += after - before;
    }
    /// Nothing is left: who holds much is to get no more.
    bool receive_scarce() const { return stats_.unread_bytes >= receive_bytes_; }
    /// What may come nevertheless did, too: something must go.
    bool receive_overrun() const {
        return stats_.unread_bytes > receive_bytes_ + receive_bytes_ / kOverrunShare;
    }
    /// Changes what a receive window promises beyond its least; a larger one must fit beside what
    /// is held and promised. False: it does not.
    bool change_promise(std::size_t before, std::size_t after) {
        if (after > before &&
            promised_bytes_ + stats_.unread_bytes + (after - before) > receive_bytes_) {
            return false;
        }
        promised_bytes_ += after - before;
        return true;
    }

    /// For windows that stay (usrsctp's). Gives one of at least `least` bytes; what is more comes
    /// from the budget, and goes back by give_back_window().
    std::size_t take_window(std::size_t least, std::size_t most) {
        const std::size_t left = options_.receive_budget_bytes -
                                 std::min(promised_bytes_, options_.receive_budget_bytes);
        const std::size_t taken = std::clamp(left / kWindowShare, least, std::max(least, most));
        promised_bytes_ += taken - least;
        return taken;
    }
    void give_back_window(std::size_t least, std::size_t taken) {
        promised_bytes_ -= taken - least;
    }

 private:
    /// The share of what is left of the receive budget that one association gets.
    static constexpr std::size_t kWindowShare = 16;
    /// Some of the largest messages must fit.
    static constexpr std::size_t kLeastReceiveBytes = 1024 * 1024;
    static constexpr std::size_t kOverrunShare = 4;

    const SctpStackOptions options_;
    const std::size_t receive_bytes_;
    SctpStats stats_;
    std::size_t promised_bytes_ = 0;
};

}  // namespace kollator::rtc
