#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

namespace kollator::http {

/// The connections that clients began by an offer and that are not up yet, counted for each
/// client's address (of IPv6, its /64): one that never comes up takes its place for long.
class PendingOffers {
 public:
    explicit PendingOffers(std::size_t most_per_address);

    /// One more of this numeric address, counted until the last copy of what is given is gone; that
    /// may outlive this. Null where there are too many.
    std::shared_ptr<void> begin(std::string_view address);

 private:
    struct Counts;
    const std::size_t most_per_address_;
    const std::shared_ptr<Counts> counts_;
};

}  // namespace kollator::http
