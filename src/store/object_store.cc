#include "store/object_store.h"

namespace kollator::store {

std::string_view prefix_of(ObjectKind kind) {
    return kind == ObjectKind::kChunk ? "chunks/" : "torrents/";
}

std::string ObjectKey::path() const {
    return std::string(prefix_of(kind)) + hex();
}

}  // namespace kollator::store
