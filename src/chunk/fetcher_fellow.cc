// The part of a fetch in which a fellow worker is asked.
#include <utility>

#include "base/log.h"
#include "chunk/fetcher.h"

namespace kollator::chunk {
namespace {

const log::Logger kLog("chunk");

/// A fellow's part in a fetch, in the place of the object store's.
class FellowTransfer final : public store::Transfer {
 public:
    explicit FellowTransfer(std::unique_ptr<cluster::ChunkSource::Request> request)
        : request_(std::move(request)) {}

 private:
    const std::unique_ptr<cluster::ChunkSource::Request> request_;
};

}  // namespace

/// False where none is to be asked. Without a place in the queue: what waits for a fellow takes no
/// memory until bytes come, and must not keep those waiting that the fellow asks of us.
bool Fetcher::start_at_fellow(const FetchPtr& fetch) {
    if (fellows_ == nullptr || fetch->key.kind != store::ObjectKind::kChunk) return false;
    cluster::ChunkSource::Options options;
    options.max_bytes = static_cast<std::uint32_t>(fetch->kind->max_bytes());
    options.budget = &budget_;
    const std::weak_ptr weak(fetch);
    auto request = fellows_->fetch(
        ChunkId(fetch->key.hash), options,
        [this, weak](const SharedBuffer& buffer, std::size_t available) {
            if (const auto locked = weak.lock()) {
                on_progress(locked, buffer, available, buffer->size());
            }
        },
        [this, weak](Result<SharedBuffer> result) {
            if (const auto locked = weak.lock()) on_fellow_done(locked, std::move(result));
        });
    if (!request) return false;
    fetch->state = FetchState::kFetching;
    fetch->from_fellow = true;
    fetch->transfer = std::make_unique<FellowTransfer>(std::move(request));
    return true;
}

void Fetcher::on_fellow_done(const FetchPtr& fetch, Result<SharedBuffer> result) {
    if (result) return on_fetched(fetch, std::move(result));
    kLog.debug("event=fellow-failed key={} code={} detail=\"{}\"", fetch->key.path(),
               to_string(result.error().code), result.error().detail);
    dispose(loop_, std::move(fetch->transfer));
    enqueue(fetch);
}

}  // namespace kollator::chunk
