#pragma once

#include <optional>
#include <set>
#include <utility>

#include "base/time.h"

namespace kollator::rtc::sctp {

/// When each of many owners wants to be called: one entry for each, in order. An owner's deadlines
/// move with every packet, mostly later: it stays listed where it is until then (`at` is when it is
/// listed), and is asked again when that time comes.
template <typename Owner>
class Deadlines {
 public:
    /// Lists `owner` for `when`, unless it is listed for earlier.
    void want(Owner& owner, std::optional<TimePoint>& at, std::optional<TimePoint> when) {
        if (!when || (at && *at <= *when)) return;
        remove(owner, at);
        entries_.insert({*when, &owner});
        at = when;
    }
    void remove(Owner& owner, std::optional<TimePoint>& at) {
        if (at) entries_.erase({*at, &owner});
        at.reset();
    }
    std::optional<TimePoint> next() const {
        return entries_.empty() ? std::nullopt : std::optional(entries_.begin()->first);
    }
    /// The first one that is due; it stays listed.
    Owner* due(TimePoint now) const {
        return !entries_.empty() && entries_.begin()->first <= now ? entries_.begin()->second
                                                                   : nullptr;
    }

 private:
    std::set<std::pair<TimePoint, Owner*>> entries_;
};

}  // namespace kollator::rtc::sctp
