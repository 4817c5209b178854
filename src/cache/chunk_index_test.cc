#include "cache/chunk_index.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"

namespace kollator::cache {
namespace {

ChunkId id_of(std::uint32_t number) {
    std::array<std::uint8_t, 32> bytes{};
    store_u32(bytes.data(), number * 2654435761U);  // spread, so that order by id differs
    bytes[31] = 1;  // the name of all zeros is where a list starts, never listed
    return ChunkId(bytes);
}

/// The obvious model: a vector in order of use, everything found by looking at all of it.
struct SlowModel {
    struct Item {
        IndexItem item;
        unsigned pins = 0;
    };
    std::uint64_t max_bytes;
    std::vector<Item> items;  // least recently used first
    std::uint64_t reserved = 0;

    std::vector<Item>::iterator at(const ChunkId& id) {
        return std::find_if(items.begin(), items.end(),
                            [&](const Item& one) { return one.item.id == id; });
    }
    std::uint64_t bytes() const {
        std::uint64_t sum = 0;
        for (const Item& one : items) sum += one.item.charged_bytes;
        return sum;
    }
    bool reserve(std::uint64_t bytes_wanted, std::vector<ChunkId>& evicted) {
        auto left = items;
        std::vector<ChunkId> gone;
        while (bytes() + reserved + bytes_wanted > max_bytes) {
            auto victim = std::find_if(items.begin(), items.end(),
                                       [](const Item& one) { return one.pins == 0; });
            if (victim == items.end()) {
                items = left;
                return false;
            }
            gone.push_back(victim->item.id);
            items.erase(victim);
        }
        evicted = gone;
        reserved += bytes_wanted;
        return true;
    }
};

std::vector<ChunkId> ids_of(const std::vector<IndexItem>& items) {
    std::vector<ChunkId> ids;
    for (const IndexItem& item : items) ids.push_back(item.id);
    return ids;
}

class AgainstModel {
 public:
    explicit AgainstModel(std::uint64_t seed) : random_(seed) {}

    void run(int steps) {
        for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
            step();
            compare();
        }
    }

 private:
    void step() {
        const ChunkId id = id_of(random_.u32() % 40);
        const auto known = model_.at(id);
        const bool there = known != model_.items.end();
        ASSERT_EQ(there, index_.find(id) != nullptr);
        now_ns_ += random_.u32() % 3;
        switch (random_.u32() % 10) {
            case 0:
            case 1:
            case 2:
                if (!there) insert(id);
                break;
            case 3:
            case 4:
                if (there) {
                    index_.touch(id, now_ns_);
                    ++known->item.hits;
                    known->item.last_used_ns = now_ns_;
                    std::rotate(known, known + 1, model_.items.end());
                }
                break;
            case 5:
                if (there && known->pins < 2) {
                    index_.pin(id);
                    ++known->pins;
                }
                break;
            case 6:
            case 7:
                if (there && known->pins > 0) {
                    index_.unpin(id);
                    --known->pins;
                }
                break;
            case 8:
                if (there) remove(id, known);
                break;
            default:
                rare();
        }
    }

    void insert(const ChunkId& id) {
        const IndexItem item{id, 1, random_.u32() % 300, 0, now_ns_};
        std::vector<IndexItem> evicted;
        std::vector<ChunkId> expected;
        const bool room =
            index_.reserve(item.charged_bytes, std::nullopt, evicted) == Reservation::kHeld;
        ASSERT_EQ(room, model_.reserve(item.charged_bytes, expected));
        ASSERT_EQ(ids_of(evicted), expected);
        if (!room) return;
        if (random_.u32() % 8 == 0) {  // a write that failed
            index_.release(item.charged_bytes);
        } else {
            index_.commit(item);
            model_.items.push_back({item});
        }
        model_.reserved -= item.charged_bytes;
    }

    void remove(const ChunkId& id, std::vector<SlowModel::Item>::iterator known) {
        if (known->pins > 0) {
            const IndexItem item = index_.detach(id);
            held_.push_back(item.charged_bytes);
            model_.reserved += item.charged_bytes;
        } else {
            (void)index_.remove(id);
        }
        model_.items.erase(known);
    }

    void rare() {
        if (!held_.empty()) {
            index_.release(held_.back());
            model_.reserved -= held_.back();
            held_.pop_back();
        } else if (random_.u32() % 4 == 0) {
            const std::int64_t before = now_ns_ - random_.u32() % 60;
            const auto expired = ids_of(index_.expire(before));
            std::vector<ChunkId> expected;
            std::erase_if(model_.items, [&](const SlowModel::Item& one) {
                const bool old = one.pins == 0 && one.item.last_used_ns < before;
                if (old) expected.push_back(one.item.id);
                return old;
            });
            EXPECT_EQ(expired, expected);
        } else if (random_.u32() % 16 == 0) {
            (void)index_.clear();
            std::erase_if(model_.items, [](const SlowModel::Item& one) { return one.pins == 0; });
        }
    }

    void compare() {
        ASSERT_EQ(index_.count(), model_.items.size());
        ASSERT_EQ(index_.used_bytes(), model_.bytes() + model_.reserved);
        ASSERT_LE(index_.used_bytes(), index_.max_bytes());
        std::vector<ChunkId> order;
        index_.for_each([&](const IndexItem& item) {
            order.push_back(item.id);
            ASSERT_EQ(item.hits, model_.at(item.id)->item.hits);
        });
        std::vector<ChunkId> expected;
        for (const auto& one : model_.items) expected.push_back(one.item.id);
        ASSERT_EQ(order, expected);
        std::sort(expected.begin(), expected.end());
        ASSERT_EQ(ids_of(index_.list(ChunkId(), 1000)), expected);
    }

    SeededRandom random_;
    ChunkIndex index_{2000};
    SlowModel model_{2000, {}, 0};
    std::vector<std::uint64_t> held_;
    std::int64_t now_ns_ = 1000;
};

TEST(ChunkIndex, BehavesAsTheObviousModel) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        AgainstModel(seed).run(2000);
        if (testing::Test::HasFailure()) return;
    }
}

TEST(ChunkIndex, EvictsNothingWhereThatWouldNotSuffice) {
    ChunkIndex index(100);
    std::vector<IndexItem> evicted;
    for (std::uint32_t i = 0; i < 2; ++i) {
        ASSERT_EQ(index.reserve(50, std::nullopt, evicted), Reservation::kHeld);
        index.commit({id_of(i), 1, 50, 0, 0});
    }
    index.pin(id_of(0));
    EXPECT_EQ(index.reserve(51, std::nullopt, evicted), Reservation::kNoRoom);
    EXPECT_EQ(index.reserve(101, std::nullopt, evicted), Reservation::kNoRoom);
    EXPECT_TRUE(evicted.empty());
    EXPECT_EQ(index.reserve(50, std::nullopt, evicted), Reservation::kHeld);
    EXPECT_EQ(ids_of(evicted), std::vector<ChunkId>{id_of(1)});
}

TEST(ChunkIndex, KeepsItsOrderWhenTheClockStepsBack) {
    ChunkIndex index(100);
    std::vector<IndexItem> evicted;
    for (std::uint32_t i = 0; i < 2; ++i) {
        ASSERT_EQ(index.reserve(10, std::nullopt, evicted), Reservation::kHeld);
        index.commit({id_of(i), 1, 10, 0, 1000 - i * 500});
    }
    EXPECT_EQ(index.find(id_of(1))->last_used_ns, 1000);
    index.touch(id_of(0), 200);
    EXPECT_EQ(index.find(id_of(0))->last_used_ns, 1000);
}

TEST(ChunkIndex, ListsPagesInAscendingOrder) {
    ChunkIndex index(1000);
    std::vector<IndexItem> evicted;
    for (std::uint32_t i = 0; i < 10; ++i) {
        ASSERT_EQ(index.reserve(1, std::nullopt, evicted), Reservation::kHeld);
        index.commit({id_of(i), i, 1, 0, 0});
    }
    const auto first = index.list(ChunkId(), 4);
    ASSERT_EQ(first.size(), 4U);
    const auto rest = index.list(first.back().id, 100);
    EXPECT_EQ(rest.size(), 10U - 4U);
    EXPECT_LT(first.back().id, rest.front().id);
}

TEST(ChunkIndexTest, TakesNoNewcomerThatIsWorthLess) {
    ChunkIndex index(10, PolicyKind::kSessionAware);
    const TimePoint now{};
    std::vector<IndexItem> evicted;
    for (std::uint32_t number = 0; number < 10; ++number) {
        index.requested(id_of(number), now);
        index.requested(id_of(number), now);
        ASSERT_EQ(index.reserve(1, Newcomer{id_of(number), now}, evicted), Reservation::kHeld);
        index.commit({id_of(number), 1, 1, 0, 0});
    }
    const ChunkId stranger = id_of(100);
    index.requested(stranger, now);
    EXPECT_EQ(index.reserve(1, Newcomer{stranger, now}, evicted), Reservation::kNotWorth);
    EXPECT_TRUE(evicted.empty());
    EXPECT_EQ(index.used_bytes(), 10U);
    for (int use = 0; use < 4; ++use) index.requested(stranger, now);
    EXPECT_EQ(index.reserve(1, Newcomer{stranger, now}, evicted), Reservation::kHeld);
    EXPECT_EQ(evicted.size(), 1U);
}

}  // namespace
}  // namespace kollator::cache
