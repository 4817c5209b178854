#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "chunk/hidden_names.h"
#include "chunk/known_names.h"
#include "chunk/options.h"
#include "loop/event_loop.h"
#include "store/object_store.h"

namespace kollator::chunk {

/// Pages of what the object store holds, without what is hidden. Loop thread only; destroying it
/// cancels all.
class StoreLists {
 public:
    using OnPage = std::function<void(Result<store::ListPage>)>;

    /// All references outlive it.
    StoreLists(EventLoop& loop, store::ObjectStore& store, KnownStored& stored,
               const HiddenNames& hidden, const ChunkServiceOptions& options);

    /// Up to `limit` objects with a name greater than `after`, none of them empty or of 4 GiB and
    /// more. A page may be short, never empty while there is more. kLimit: too many lists at once.
    void list(store::ObjectKind kind, const std::array<std::uint8_t, 32>& after, std::size_t limit,
              OnPage on_done);

 private:
    struct Listing {
        store::ObjectKind kind = store::ObjectKind::kChunk;
        std::size_t limit = 0;
        OnPage on_done;
        std::uint64_t generation = 0;  // of the hidden names, when the store was asked
        store::TransferHandle transfer;
    };

    void ask(std::uint64_t ticket, const std::array<std::uint8_t, 32>& after);
    void on_listed(std::uint64_t ticket, const Result<store::ListPage>& listed);
    store::ListPage seen(const Listing& listing, const store::ListPage& listed);

    EventLoop& loop_;
    store::ObjectStore& store_;
    KnownStored& stored_;
    const HiddenNames& hidden_;
    const ChunkServiceOptions& options_;

    std::map<std::uint64_t, Listing> lists_;
    std::uint64_t next_ticket_ = 0;
    const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace kollator::chunk
