#include "chunk/repairs.h"

#include <utility>
#include <vector>

#include "base/log.h"

namespace kollator::chunk {
namespace {

const log::Logger kLog("chunk");

}  // namespace

class Repairs::Repair final : public FetchReader {
 public:
    explicit Repair(Repairs& owner) : owner_(owner) {}
    ~Repair() override {
        if (fetch) owner_.fetcher_.leave(std::exchange(fetch, nullptr), *this);
    }
    void fetch_changed() override { owner_.look_soon(); }
    bool has_bytes() const override { return false; }

    FetchPtr fetch;

 private:
    Repairs& owner_;
};

Repairs::Repairs(EventLoop& loop, Fetcher& fetcher, std::shared_ptr<BlobKind> kind, Tally& tally)
    : loop_(loop), fetcher_(fetcher), kind_(std::move(kind)), tally_(tally) {}

Repairs::~Repairs() = default;

void Repairs::repair(const ChunkId& id) {
    if (waiting_.size() >= kMaxWaiting) return tally_.repair_failures.add();
    waiting_.push_back(id);
    pump();
}

void Repairs::pump() {
    while (!waiting_.empty() && under_way_.size() < kParallel) {
        const ChunkId id = waiting_.front();
        waiting_.pop_front();
        if (under_way_.contains(id)) continue;
        auto repair = std::make_unique<Repair>(*this);
        auto fetch = fetcher_.join(store::ObjectKey(id), kind_, *repair);
        if (!fetch) {
            tally_.repair_failures.add();
            continue;
        }
        repair->fetch = std::move(*fetch);
        under_way_.emplace(id, std::move(repair));
        look_soon();  // it may have been verified already
    }
}

void Repairs::look_soon() {
    if (std::exchange(looking_, true)) return;
    loop_.post([this, alive = std::weak_ptr(alive_)] {
        if (alive.expired()) return;
        looking_ = false;
        look();
    });
}

void Repairs::look() {
    for (auto at = under_way_.begin(); at != under_way_.end();) {
        const Fetch& fetch = *at->second->fetch;
        if (fetch.state < FetchState::kVerified) {
            ++at;
            continue;
        }
        if (fetch.state == FetchState::kFailed) {
            tally_.repair_failures.add();
            kLog.warn("event=repair-failed chunk={} error=\"{}\"", at->first.hex(),
                      fetch.error->detail);
        } else {
            tally_.repairs.add();
            kLog.info("event=repaired chunk={}", at->first.hex());
        }
        at = under_way_.erase(at);
    }
    pump();
}

}  // namespace kollator::chunk
