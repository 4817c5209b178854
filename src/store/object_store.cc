#include "store/object_store.h"

namespace kollator::store {

std::string_view prefix_of(ObjectKind kind) {
    return kind == ObjectKind::kChunk ? "chunks/" : "torrents/";
}

std::string_view to_string(BreakerState state) {
    switch (state) {
        case BreakerState::kClosed:
            return "closed";
        case BreakerState::kHalfOpen:
            return "half-open";
        case BreakerState::kOpen:
            break;
    }
    return "open";
}

std::string ObjectKey::path() const {
    return std::string(prefix_of(kind)) + hex();
}

}  // namespace kollator::store
