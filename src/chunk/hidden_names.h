#pragma once

#include <cstdint>
#include <optional>
#include <unordered_set>

#include "base/result.h"
#include "chunk/denylist.h"
#include "chunk/known_names.h"
#include "store/object_store.h"

namespace kollator::chunk {

/// What nobody may see, although it may be cached or stored: names on the denylist, and objects
/// whose deletion waits for its day. Loop thread only.
class HiddenNames {
 public:
    void set_denylist(DenylistPtr list) {
        denylist_ = std::move(list);
        ++generation_;
    }
    const Denylist& denylist() const { return *denylist_; }
    bool denied(const store::ObjectKey& key) const { return denylist_->contains(key.hash); }

    /// As if it were deleted already, until show().
    void hide(const store::ObjectKey& key) {
        if (deleted_.insert(key).second) ++generation_;
    }
    void show(const store::ObjectKey& key) {
        if (deleted_.erase(key) > 0) ++generation_;
    }

    bool contains(const store::ObjectKey& key) const {
        return denied(key) || deleted_.contains(key);
    }

    /// What a requester of `key` is told; empty where it may see it.
    std::optional<Error> refusal_of(const store::ObjectKey& key) const {
        if (denied(key)) return refused_by_denylist();
        if (deleted_.contains(key)) {
            return make_error(ErrorCode::kNotFound, key.path() + " has been deleted");
        }
        return std::nullopt;
    }

    /// Another one after every change.
    std::uint64_t generation() const { return generation_; }

 private:
    DenylistPtr denylist_ = std::make_shared<const Denylist>();
    std::unordered_set<store::ObjectKey, ObjectKeyHash> deleted_;
    std::uint64_t generation_ = 0;
};

}  // namespace kollator::chunk
