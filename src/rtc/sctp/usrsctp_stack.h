#pragma once

#include <optional>

#include "rtc/sctp/sctp_association.h"
#include "rtc/sctp/stack_budget.h"

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
    SctpStats stats() const override { return budget_.stats(); }

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
    StackBudget& budget() { return budget_; }
    /// Where a message of two parts is joined; used up before the next call of it.
    Bytes& scratch() { return scratch_; }

 private:
    StackBudget budget_;
    TimePoint latest_{};
    std::size_t associations_ = 0;
    std::size_t busy_ = 0;
    std::optional<TimePoint> last_tick_;
    std::optional<TimePoint> last_activity_;
    Bytes scratch_;
};

}  // namespace kollator::rtc
