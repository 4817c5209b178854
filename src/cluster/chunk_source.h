#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/buffer.h"
#include "base/ids.h"
#include "base/result.h"

namespace kollator::cluster {

/// Somebody who may have a chunk nearer than the object store. Loop thread only.
class ChunkSource {
 public:
    /// A request under way. Destroying it cancels the request: no callback runs after that.
    class Request {
     public:
        virtual ~Request() = default;
    };

    struct Options {
        std::uint32_t max_bytes = 0;  ///< a larger chunk is an error
        /// Where the buffer's bytes are leased from: kLimit where it is used up. Outlives them.
        ByteBudget* budget = nullptr;
    };

    /// Told while the bytes arrive: the first `available_bytes` of `buffer` are there.
    using OnProgress = std::function<void(const SharedBuffer& buffer, std::size_t available_bytes)>;
    /// The whole chunk, NOT verified against its name; or why there is none. Runs once, on the
    /// loop, never before fetch() returned.
    using OnDone = std::function<void(Result<SharedBuffer>)>;

    virtual ~ChunkSource() = default;

    /// Null where nobody is to be asked: the object store is.
    virtual std::unique_ptr<Request> fetch(const ChunkId& id, const Options& options,
                                           OnProgress on_progress, OnDone on_done) = 0;
    /// What fetch() gave last for this name was something else.
    virtual void was_corrupt(const ChunkId& id) = 0;
};

}  // namespace kollator::cluster
