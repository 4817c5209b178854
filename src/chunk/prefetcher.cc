#include "chunk/prefetcher.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/log.h"

namespace kollator::chunk {
namespace {

const log::Logger kLog("chunk");

/// Of the store's slots: as many as this share may fetch ahead, and the other share stays free for
/// requests, so that one that comes never waits for a slot.
constexpr std::size_t kSlotShare = 4;
/// Where the store bounds nothing by itself.
constexpr std::size_t kAssumedSlots = 64;
/// Readers that fell silent, and chunks that theirs went past, are looked for this often.
constexpr std::chrono::seconds kTidyInterval{5};

}  // namespace

/// A fetch that nobody asked for yet.
class Prefetcher::Ahead final : public FetchReader {
 public:
    Ahead(Prefetcher& owner, std::uint32_t max_bytes) : owner_(owner), max_bytes_(max_bytes) {}
    ~Ahead() override {
        if (fetch) owner_.fetcher_.leave(std::exchange(fetch, nullptr), *this);
    }

    void fetch_changed() override { owner_.look_soon(); }
    bool has_bytes() const override { return false; }
    bool ahead() const override { return true; }

    bool arriving() const { return fetch->state < FetchState::kVerified; }
    std::uint64_t bytes() const { return fetch->total > 0 ? fetch->total : max_bytes_; }

    FetchPtr fetch;
    TimePoint began{};
    std::uint64_t number = 0;
    bool measured = false;

 private:
    Prefetcher& owner_;
    const std::uint32_t max_bytes_;
};

Prefetcher::Prefetcher(EventLoop& loop, const Clock& clock, Fetcher& fetcher,
                       store::ObjectStore& store, cache::DiskCache& disk_cache,
                       std::shared_ptr<BlobKind> kind, Tally& tally,
                       const ChunkServiceOptions& options)
    : loop_(loop),
      clock_(clock),
      fetcher_(fetcher),
      store_(store),
      cache_(disk_cache),
      kind_(std::move(kind)),
      tally_(tally),
      options_(options),
      plan_({.depth = options.prefetch_depth}),
      tidy_timer_(loop) {
    fetcher_.set_gives_way(this);
}

Prefetcher::~Prefetcher() {
    fetcher_.set_gives_way(nullptr);
    aheads_.clear();
}

std::uint64_t Prefetcher::bytes() const {
    std::uint64_t sum = 0;
    for (const auto& [id, ahead] : aheads_) sum += ahead->bytes();
    return sum;
}

std::size_t Prefetcher::in_flight() const {
    return static_cast<std::size_t>(
        std::count_if(aheads_.begin(), aheads_.end(),
                      [](const auto& entry) { return entry.second->arriving(); }));
}

// --- readers -----------------------------------------------------------------------------------

void Prefetcher::reader_at(std::uint64_t reader, const ChunkId& id) {
    if (plan_.reader_at(reader, id, clock_.now())) drop_unwanted();
    look_soon();
}

void Prefetcher::reader_left(std::uint64_t reader) {
    plan_.reader_left(reader);
    drop_unwanted();
}

void Prefetcher::opened(const ChunkId& id) {
    const auto found = aheads_.find(id);
    if (found == aheads_.end()) return;
    if (found->second->fetch->state != FetchState::kFailed) tally_.prefetch_useful.add();
    // The request has joined: the fetch goes on without this.
    const auto done = std::move(found->second);
    aheads_.erase(found);
}

// --- fetching ----------------------------------------------------------------------------------

/// By a later turn: the request that told of the reader goes first.
void Prefetcher::look_soon() {
    if (std::exchange(looking_, true)) return;
    loop_.post([this, alive = std::weak_ptr(alive_)] {
        if (alive.expired()) return;
        looking_ = false;
        look();
    });
}

void Prefetcher::look() {
    settle();
    start_all();
    if (aheads_.empty() || tidy_timer_.active()) return;
    tidy_timer_.start_after(kTidyInterval, [this] {
        (void)plan_.drop_silent(clock_.now());
        drop_unwanted();
        look();
    });
}

/// Measures what has arrived, and lets go of what failed or is kept elsewhere.
void Prefetcher::settle() {
    std::vector<ChunkId> ended;
    for (const auto& [id, ahead] : aheads_) {
        const FetchState state = ahead->fetch->state;
        if (state == FetchState::kVerified && !std::exchange(ahead->measured, true)) {
            plan_.note_latency(clock_.now() - ahead->began);
        }
        if (state == FetchState::kFailed || state == FetchState::kKept) ended.push_back(id);
    }
    for (const ChunkId& id : ended) drop(id);
}

bool Prefetcher::lacks(const ChunkId& id) const {
    const store::ObjectKey key(id);
    return !aheads_.contains(id) && !cache_.size_of(id) && !fetcher_.is_fetching(key) &&
           !fetcher_.hidden().contains(key);
}

/// How many more the store has slots for.
std::size_t Prefetcher::spare_slots() const {
    const store::StoreStats stats = store_.stats();
    if (stats.breaker != store::BreakerState::kClosed) return 0;
    if (stats.egress && stats.egress->limited) return 0;
    const std::size_t slots = stats.in_flight_limit > 0 ? stats.in_flight_limit : kAssumedSlots;
    const std::size_t share = std::max<std::size_t>(1, slots / kSlotShare);
    const std::size_t mine = in_flight();
    const std::size_t busy = stats.in_flight;
    if (mine >= share || busy + share >= slots) return 0;
    return std::min(share - mine, slots - share - busy);
}

void Prefetcher::start_all() {
    std::size_t slots = SIZE_MAX;  // the store is asked where there is a wish
    std::uint64_t held = bytes();
    while (slots > 0 && aheads_.size() < kMaxAhead) {
        if (held >= options_.prefetch_budget_bytes || !fetcher_.has_spare_room(*kind_)) return;
        const auto wish = plan_.next([this](const ChunkId& id) { return lacks(id); });
        if (!wish) return;
        if (slots == SIZE_MAX) slots = spare_slots();
        if (slots == 0 || held + wish->max_bytes > options_.prefetch_budget_bytes) return;
        if (!start(*wish)) return;
        --slots;
        held += wish->max_bytes;
    }
}

bool Prefetcher::start(const PrefetchPlan::Wish& wish) {
    auto ahead = std::make_unique<Ahead>(*this, wish.max_bytes);
    auto fetch = fetcher_.join(store::ObjectKey(wish.id), kind_, *ahead);
    if (!fetch) return false;
    ahead->fetch = std::move(*fetch);
    ahead->began = clock_.now();
    ahead->number = tally_.prefetches.value();
    tally_.prefetches.add();
    kLog.debug("event=prefetch chunk={}", wish.id.hex());
    aheads_.emplace(wish.id, std::move(ahead));
    return true;
}

// --- letting go --------------------------------------------------------------------------------

void Prefetcher::drop(const ChunkId& id) {
    const auto found = aheads_.find(id);
    const auto dropped = std::move(found->second);
    aheads_.erase(found);
    tally_.prefetch_wasted.add();
}

void Prefetcher::drop_unwanted() {
    std::vector<ChunkId> unwanted;
    for (const auto& [id, ahead] : aheads_) {
        if (!plan_.wanted(id)) unwanted.push_back(id);
    }
    for (const ChunkId& id : unwanted) drop(id);
}

/// The one that was begun last is needed last, or soon enough to be fetched again.
bool Prefetcher::drop_newest(bool in_flight_only) {
    auto newest = aheads_.end();
    for (auto at = aheads_.begin(); at != aheads_.end(); ++at) {
        if (in_flight_only && !at->second->arriving()) continue;
        if (newest == aheads_.end() || at->second->number > newest->second->number) newest = at;
    }
    if (newest == aheads_.end()) return false;
    drop(ChunkId(newest->first));
    return true;
}

/// A request waits for memory.
bool Prefetcher::give_way() {
    return drop_newest(false);
}

/// A request's fetch has begun; it may wait for a slot.
void Prefetcher::request_began() {
    if (aheads_.empty()) return;
    const store::StoreStats stats = store_.stats();
    if (stats.in_flight_limit > 0 && stats.in_flight >= stats.in_flight_limit) {
        (void)drop_newest(true);
    }
}

}  // namespace kollator::chunk
