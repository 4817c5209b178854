#pragma once

#include <memory>
#include <utility>

namespace kollator::cli {

/// What a transfer and its callbacks share. `Self` has a `done` that is empty once it is over.
template <typename Self>
class Guarded : public std::enable_shared_from_this<Self> {
 protected:
    /// A callback that calls `handler(self, arguments...)`, or nothing once the transfer is over.
    template <typename Handler>
    auto guarded(Handler handler) {
        return [weak = this->weak_from_this(), handler = std::move(handler)](auto&&... arguments) {
            const auto self = weak.lock();
            if (!self || !self->done) return;
            handler(*self, std::forward<decltype(arguments)>(arguments)...);
        };
    }
};

}  // namespace kollator::cli
