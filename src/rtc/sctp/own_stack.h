#pragma once

#include <vector>

#include "rtc/sctp/packet/packet_builder.h"
#include "rtc/sctp/rx/buffer_pool.h"
#include "rtc/sctp/sctp_association.h"
#include "rtc/sctp/stack_budget.h"
#include "rtc/sctp/timer/deadlines.h"

namespace kollator::rtc {

class OwnAssociation;

/// What the associations of one loop share: timers, budgets, buffers. Nothing in it is the
/// process's.
class OwnSctpStack final : public SctpStack {
 public:
    OwnSctpStack(Random& random, const SctpStackOptions& options)
        : random_(random), budget_(options) {}
    ~OwnSctpStack() override;
    OwnSctpStack(const OwnSctpStack&) = delete;
    OwnSctpStack& operator=(const OwnSctpStack&) = delete;

    std::unique_ptr<SctpAssociation> make(const SctpOptions& options,
                                          SctpObserver& observer) override;
    void handle_timers(TimePoint now) override;
    TimePoint next_timeout(TimePoint now) const override;
    void set_output(bool on) override;
    SctpStats stats() const override { return budget_.stats(); }

    // For OwnAssociation.
    Random& random() { return random_; }
    StackBudget& budget() { return budget_; }
    sctp::BufferPool& buffers() { return buffers_; }
    sctp::Deadlines<OwnAssociation>& deadlines() { return deadlines_; }
    /// Where a packet of up to `mtu_bytes` is put together.
    sctp::PacketBuilder& builder(std::size_t mtu_bytes);
    bool output() const { return output_; }
    /// Tells it (OwnAssociation::resume) when the output is on again; once.
    void hold(OwnAssociation& association) { held_.push_back(&association); }
    void drop_hold(OwnAssociation& association) { std::erase(held_, &association); }
    void add_association(OwnAssociation& association) { associations_.push_back(&association); }
    void remove_association(OwnAssociation& association);
    /// Where far too much is unread, ends those that have most of it.
    void relieve();

 private:
    Random& random_;
    StackBudget budget_;
    sctp::BufferPool buffers_;
    sctp::Deadlines<OwnAssociation> deadlines_;
    std::size_t builder_bytes_ = 0;
    std::unique_ptr<sctp::PacketBuilder> builder_;
    std::vector<OwnAssociation*> associations_;
    bool output_ = true;
    std::vector<OwnAssociation*> held_;
};

}  // namespace kollator::rtc
