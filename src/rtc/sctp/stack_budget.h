#pragma once

#include <algorithm>

#include "rtc/sctp/sctp_association.h"

namespace kollator::rtc {

/// What all associations of a stack share: bounds on what they buffer to be sent, and on what their
/// receive windows promise.
class StackBudget {
 public:
    explicit StackBudget(const SctpStackOptions& options) : options_(options) {}

    const SctpStats& stats() const { return stats_; }
    /// Moves the count of what all associations have buffered.
    void change_buffered(std::size_t before, std::size_t after) {
        stats_.buffered_bytes += after - before;
    }
    void add_retransmitted(std::uint64_t bytes) { stats_.retransmitted_bytes += bytes; }
    bool over_budget() const { return stats_.buffered_bytes >= options_.send_budget_bytes; }

    /// Gives a receive window of at least `least` bytes; what is more comes from the budget, and
    /// goes back by give_back_window().
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

    const SctpStackOptions options_;
    SctpStats stats_;
    std::size_t promised_bytes_ = 0;
};

}  // namespace kollator::rtc
