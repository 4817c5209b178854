#include <algorithm>
#include <list>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "cache/policy/eviction_policy.h"
#include "gmock/gmock.h"

namespace kollator::cache {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;

constexpr std::uint64_t kBytes = 5U << 20;
constexpr auto kAny = [](Slot) { return true; };

/// Tests name chunks by small numbers, which are their slots too; policies want hashes
/// (splitmix64's finalizer, which has an inverse: no two numbers collide).
PolicyKey key_of(Slot chunk) {
    std::uint64_t mixed = chunk + 0x9E3779B97F4A7C15;
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
    return mixed ^ (mixed >> 31);
}

/// A cache of a few chunks.
class PolicyHarness {
 public:
    PolicyHarness(PolicyKind kind, std::size_t capacity)
        : capacity_(capacity), policy_(make_policy(kind, capacity * kBytes, [this](PolicyKey key) {
              for (const auto& [chunk, pinned] : present_) {
                  if (key_of(chunk) == key) return chunk;
              }
              return kNoSlot;
          })) {}

    EvictionPolicy& policy() { return *policy_; }
    bool has(Slot chunk) const { return present_.contains(chunk); }
    std::vector<Slot> chunks() const {
        std::vector<Slot> chunks;
        for (const auto& [chunk, pinned] : present_) chunks.push_back(chunk);
        return chunks;
    }
    void pin(Slot chunk, bool pinned) { present_.at(chunk) = pinned; }
    void pass(Duration time) { now_ += time; }

    void learn(FileId file, const std::vector<Slot>& chunks) {
        std::vector<PolicyKey> keys;
        for (const Slot chunk : chunks) keys.push_back(key_of(chunk));
        policy_->learn_file(file, keys);
    }

    /// True: a hit.
    bool request(Slot chunk) {
        now_ += milliseconds(100);
        policy_->requested(key_of(chunk), now_);
        return touch_or_take(chunk);
    }

    bool read(ReaderId reader, Slot chunk) {
        now_ += milliseconds(100);
        policy_->requested(key_of(chunk), now_);
        policy_->reader_at(reader, key_of(chunk), now_);
        return touch_or_take(chunk);
    }

    void evict(Slot chunk) {
        policy_->remove(chunk);
        present_.erase(chunk);
    }

    Slot victim() {
        return policy_->victim([this](Slot chunk) { return !present_.at(chunk); }, now_);
    }

 private:
    bool touch_or_take(Slot chunk) {
        if (has(chunk)) {
            policy_->hit(chunk);
            return true;
        }
        while (present_.size() >= capacity_) {
            const Slot slot = victim();
            if (slot == kNoSlot || !policy_->admits(key_of(chunk), slot, now_)) return false;
            evict(slot);
        }
        present_[chunk] = false;
        policy_->insert(chunk, key_of(chunk), kBytes);
        return false;
    }

    const std::size_t capacity_;
    std::map<Slot, bool> present_;  // pinned?
    std::unique_ptr<EvictionPolicy> policy_;
    TimePoint now_ = TimePoint{} + seconds(1000);
};

class EveryPolicyTest : public ::testing::TestWithParam<PolicyKind> {};

INSTANTIATE_TEST_SUITE_P(All, EveryPolicyTest,
                         ::testing::Values(PolicyKind::kLru, PolicyKind::kS3Fifo,
                                           PolicyKind::kTinyLfu, PolicyKind::kSessionAware),
                         [](const auto& tested) {
                             std::string name(name_of(tested.param));
                             std::erase(name, '-');
                             return name;
                         });

TEST_P(EveryPolicyTest, GivesOnlyWhatIsThereAndMayGo) {
    PolicyHarness cache(GetParam(), 20);
    std::mt19937_64 random(7);
    std::vector<Slot> file(50);
    for (Slot key = 0; key < file.size(); ++key) file[key] = key;
    cache.learn(1, file);
    std::vector<Slot> pinned;
    for (int step = 0; step < 20'000; ++step) {
        switch (random() % 8) {
            case 0:
                if (!cache.chunks().empty() && pinned.size() < 10) {
                    const auto keys = cache.chunks();
                    pinned.push_back(keys[random() % keys.size()]);
                    cache.pin(pinned.back(), true);
                }
                break;
            case 1:
                for (const Slot chunk : pinned) cache.pin(chunk, false);
                pinned.clear();
                break;
            case 2: {
                const auto index = static_cast<std::uint32_t>(random() % file.size());
                cache.read(1 + random() % 3, file[index]);
                break;
            }
            case 3:
                cache.policy().reader_left(1 + random() % 3);
                break;
            default:
                cache.request(static_cast<Slot>(random() % 100));
        }
        const Slot victim = cache.victim();
        if (victim == kNoSlot) continue;
        ASSERT_TRUE(cache.has(victim));
        ASSERT_EQ(std::count(pinned.begin(), pinned.end(), victim), 0);
    }
}

TEST_P(EveryPolicyTest, SaysThatNobodyMayGo) {
    PolicyHarness cache(GetParam(), 8);
    EXPECT_EQ(cache.victim(), kNoSlot);
    for (Slot key = 0; key < 8; ++key) cache.request(key);
    for (Slot key = 0; key < 8; ++key) cache.pin(key, true);
    EXPECT_EQ(cache.victim(), kNoSlot);
    cache.pin(5, false);
    EXPECT_EQ(cache.victim(), 5U);
}

TEST_P(EveryPolicyTest, GivesEveryoneInTheEnd) {
    PolicyHarness cache(GetParam(), 30);
    for (Slot key = 0; key < 30; ++key) {
        for (Slot times = 0; times <= key % 4; ++times) cache.request(key);
    }
    for (int left = 30; left > 0; --left) {
        const Slot victim = cache.victim();
        ASSERT_NE(victim, kNoSlot);
        cache.evict(victim);
    }
    EXPECT_EQ(cache.victim(), kNoSlot);
}

TEST_P(EveryPolicyTest, HasANameThatFindsIt) {
    EXPECT_EQ(policy_named(name_of(GetParam())), GetParam());
}

TEST(PolicyTest, UnknownNameFindsNone) {
    EXPECT_EQ(policy_named("clock"), std::nullopt);
}

TEST(LruPolicyTest, DoesAsASlowModelDoes) {
    PolicyHarness cache(PolicyKind::kLru, 10);
    std::list<Slot> model;  // most recently used first
    std::mt19937_64 random(11);
    for (int step = 0; step < 5'000; ++step) {
        const auto key = static_cast<Slot>(random() % 25);
        const bool known = std::find(model.begin(), model.end(), key) != model.end();
        EXPECT_EQ(cache.request(key), known);
        model.remove(key);
        model.push_front(key);
        if (model.size() > 10) model.pop_back();
    }
    model.sort();
    EXPECT_THAT(cache.chunks(), ::testing::ElementsAreArray(model));
}

/// Chunks 1 to 5 asked for `uses` times each, and then a scan of `length` others.
std::vector<Slot> after_scan(PolicyKind kind, int uses, Slot length) {
    PolicyHarness cache(kind, 10);
    for (int use = 0; use < uses; ++use) {
        for (Slot key = 1; key <= 5; ++key) cache.request(key);
    }
    for (Slot key = 1000; key < 1000 + length; ++key) cache.request(key);
    auto kept = cache.chunks();
    std::erase_if(kept, [](Slot key) { return key >= 1000; });
    return kept;
}

TEST(PolicyTest, PopularChunksSurviveAScanOnlyWhereAdmissionLooksAtPopularity) {
    EXPECT_THAT(after_scan(PolicyKind::kLru, 3, 200), ElementsAre());
    EXPECT_THAT(after_scan(PolicyKind::kS3Fifo, 3, 200), ElementsAre(1, 2, 3, 4, 5));
    EXPECT_THAT(after_scan(PolicyKind::kTinyLfu, 3, 200), ElementsAre(1, 2, 3, 4, 5));
    EXPECT_THAT(after_scan(PolicyKind::kSessionAware, 3, 200), ElementsAre(1, 2, 3, 4, 5));
}

TEST(S3FifoPolicyTest, WhoComesBackSoonLivesInTheMainQueue) {
    PolicyHarness cache(PolicyKind::kS3Fifo, 10);
    cache.request(1);
    for (Slot key = 100; key < 115; ++key) cache.request(key);
    ASSERT_FALSE(cache.has(1));
    cache.request(1);
    for (Slot key = 200; key < 240; ++key) cache.request(key);
    EXPECT_TRUE(cache.has(1));
}

TEST(SessionPolicyTest, KeepsWhatAReaderIsOnItsWayTo) {
    PolicyHarness cache(PolicyKind::kSessionAware, 10);
    std::vector<Slot> file = {1, 2, 3, 4, 5, 6, 7, 8};
    cache.learn(9, file);
    // One reader goes ahead; a second begins; a third of another kind makes noise.
    for (std::uint32_t index = 0; index < 8; ++index) cache.read(1, file[index]);
    cache.read(2, 1);
    for (Slot key = 100; key < 150; ++key) cache.request(key);
    for (std::uint32_t index = 1; index < 8; ++index) {
        EXPECT_TRUE(cache.read(2, file[index])) << "chunk " << index;
    }
}

TEST(SessionPolicyTest, LetsGoFirstOfWhatIsNeededLast) {
    PolicyHarness cache(PolicyKind::kSessionAware, 4);
    std::vector<Slot> file = {1, 2, 3, 4, 5};
    cache.learn(9, file);
    for (std::uint32_t index = 1; index < 5; ++index) cache.read(1, file[index]);
    cache.read(2, 2);
    EXPECT_EQ(cache.victim(), 2U) << "nobody is on the way to it";
    cache.evict(2);
    EXPECT_EQ(cache.victim(), 5U);
}

TEST(SessionPolicyTest, ForgetsAReaderWhoLeftOrFellSilent) {
    for (const bool says_so : {true, false}) {
        PolicyHarness cache(PolicyKind::kSessionAware, 4);
        std::vector<Slot> file = {1, 2, 3};
        cache.learn(9, file);
        cache.request(77);
        for (std::uint32_t index = 0; index < 3; ++index) cache.read(1, file[index]);
        cache.read(2, 1);
        EXPECT_EQ(cache.victim(), 77U) << "everything else is on somebody's way, or begun of late";
        if (says_so) {
            cache.policy().reader_left(2);
        } else {
            cache.pass(std::chrono::minutes(3));
            cache.read(3, 3);  // anybody's request is the moment to look
        }
        for (int use = 0; use < 3; ++use) cache.request(77);
        EXPECT_NE(cache.victim(), 77U);
    }
}

TEST(SessionPolicyTest, WhatWasAskedForOftenSinceItCameOutlivesWhatWasNot) {
    constexpr Slot kOften = 60;
    constexpr Slot kAll = 80;
    PolicyHarness cache(PolicyKind::kSessionAware, kAll);
    for (Slot chunk = 0; chunk < kAll; ++chunk) cache.request(chunk);
    // They stand where they came in, first in the line to go.
    for (int round = 0; round < 10; ++round) {
        for (Slot chunk = 0; chunk < kOften; ++chunk) cache.request(chunk);
    }
    for (Slot gone = kOften; gone < kAll; ++gone) {
        const Slot victim = cache.victim();
        EXPECT_GE(victim, kOften);
        cache.evict(victim);
    }
}

TEST(SessionPolicyTest, TakesNoNewcomerThatIsWorthLessThanAllThatIsThere) {
    PolicyHarness cache(PolicyKind::kSessionAware, 3);
    for (int use = 0; use < 3; ++use) {
        for (Slot key = 1; key <= 3; ++key) cache.request(key);
    }
    cache.request(50);
    EXPECT_THAT(cache.chunks(), ElementsAre(1, 2, 3));
}

}  // namespace
}  // namespace kollator::cache
