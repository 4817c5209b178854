#pragma once

#include "base/result.h"
#include "loop/event_loop.h"
#include "store/object_store.h"

namespace kollator::app {

/// Asks the object store every kInterval whether it can be used, so that /health answers at once
/// with what was found last. Loop thread only.
class StoreProbe {
 public:
    /// `store` outlives it.
    StoreProbe(EventLoop& loop, store::ObjectStore& store);

    /// True until the first answer came.
    bool pending() const { return pending_; }
    const Status& last() const { return last_; }

    static constexpr std::chrono::seconds kInterval{10};

 private:
    void ask();
    void on_answer(const Status& status);

    store::ObjectStore& store_;
    Timer timer_;
    store::TransferHandle request_;
    Status last_;
    bool pending_ = true;
};

}  // namespace kollator::app
