#include "rtc/sctp/own_stack.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/check.h"
#include "rtc/sctp/own_association.h"

namespace kollator::rtc {

namespace {
/// What the owner is told when nothing is to be done at any time.
constexpr Duration kNever = std::chrono::hours(1);
}  // namespace

OwnSctpStack::~OwnSctpStack() {
    KOLLATOR_CHECK(associations_.empty());
}

std::unique_ptr<SctpAssociation> OwnSctpStack::make(const SctpOptions& options,
                                                    SctpObserver& observer) {
    return std::make_unique<OwnAssociation>(*this, options, observer);
}

void OwnSctpStack::remove_association(OwnAssociation& association) {
    std::erase(associations_, &association);
}

void OwnSctpStack::relieve() {
    while (budget_.receive_overrun()) {
        const auto largest = std::max_element(associations_.begin(), associations_.end(),
                                              [](const OwnAssociation* a, const OwnAssociation* b) {
                                                  return a->unread_bytes() < b->unread_bytes();
                                              });
        if (largest == associations_.end() || !(*largest)->give_up_unread()) return;
    }
}

void OwnSctpStack::handle_timers(TimePoint now) {
    while (OwnAssociation* const association = deadlines_.due(now)) {
        association->handle_timeout(now);
    }
}

TimePoint OwnSctpStack::next_timeout(TimePoint now) const {
    return deadlines_.next().value_or(now +
                                      std::chrono::duration_cast<TimePoint::duration>(kNever));
}

sctp::PacketBuilder& OwnSctpStack::builder(std::size_t mtu_bytes) {
    if (!builder_ || builder_bytes_ != mtu_bytes) {
        builder_ = std::make_unique<sctp::PacketBuilder>(mtu_bytes);
        builder_bytes_ = mtu_bytes;
    }
    return *builder_;
}

std::unique_ptr<SctpStack> make_sctp_stack(Random& random, const SctpStackOptions& options) {
    return std::make_unique<OwnSctpStack>(random, options);
}

void OwnSctpStack::set_output(bool on) {
    output_ = on;
    if (!on) return;
    for (OwnAssociation* const association : std::exchange(held_, {})) association->resume();
}

}  // namespace kollator::rtc
