#pragma once

#include <optional>

#include "rtc/sctp/sctp_association.h"

namespace kollator::rtc {

/// Drives usrsctp's one timer list for all associations.
class UsrsctpStack final : public SctpStack {
 public:
    explicit UsrsctpStack(const SctpStackOptions& options);
    ~UsrsctpStack() override;
    UsrsctpStack(const UsrsctpStack&) = delete;
    UsrsctpStack& operator=(const UsrsctpStack&) = delete;

    std::unique_ptr<SctpAssociation> make(const SctpOptions& options,
                                          SctpObserver& observer) override;
    void handle_timers(TimePoint now) override;
    TimePoint next_timeout(TimePoint now) const override;
    SctpStats stats() const override { return stats_; }

    // For UsrsctpAssociation.
    void add_association() { ++associations_; }
    void remove_association() { --associations_; }
    /// An association has something in flight, or nothing any more.
    void add_busy() { ++busy_; }
    void remove_busy() { --busy_; }
    /// A packet came in: SACKs may be due soon.
    void note_activity(TimePoint now) {
        last_activity_ = now;
        latest_ = now;
    }
    /// The last time that anybody told.
    TimePoint latest() const { return latest_; }
    /// Brings usrsctp's clock up, so that timers which start now do not start in the past.
    void catch_up(TimePoint now);
    /// Moves the count of what all associations have buffered.
    void change_buffered(std::size_t before, std::size_t after) {
        stats_.buffered_bytes += after - before;
    }
    void add_retransmitted(std::uint64_t bytes) { stats_.retransmitted_bytes += bytes; }
    bool over_budget() const { return stats_.buffered_bytes >= options_.send_budget_bytes; }
    /// Gives a receive window of at least `least` bytes; what is more comes from the budget, and
    /// goes back by give_back_window().
    std::size_t take_window(std::size_t least, std::size_t most);
    void give_back_window(std::size_t least, std::size_t taken);
    /// Where a message of two parts is joined; used up before the next call of it.
    Bytes& scratch() { return scratch_; }

 private:
    const SctpStackOptions options_;
    SctpStats stats_;
    std::size_t promised_bytes_ = 0;
    TimePoint latest_{};
    std::size_t associations_ = 0;
    std::size_t busy_ = 0;
    std::optional<TimePoint> last_tick_;
    std::optional<TimePoint> last_activity_;
    Bytes scratch_;
};

}  // namespace kollator::rtc
