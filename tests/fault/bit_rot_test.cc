// Bit rot in the cache: every kind of damage to every file, half of them found by readers and half
// by the scrubber. All is found and healed, and nobody gets a wrong byte.
//
// KOLLATOR_BIT_ROT_FILES sets how many files are damaged (200), KOLLATOR_SEED where.

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iostream>

#include "cache/chunk_file.h"
#include "cache/scrub.h"
#include "tests/support/chunk_service_fixture.h"

namespace kollator::chunk {
namespace {

constexpr std::size_t kMaxChunkBytes = 150'000;

std::uint64_t number_of(const char* name, std::uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

enum class Damage { kFlippedBit, kTruncated, kZeroedTail, kFooter, kEmpty };
constexpr std::size_t kDamages = 5;

class BitRotTest : public ServiceTest {
 protected:
    struct Content {
        ChunkId id;
        Bytes bytes;
    };

    void fill(std::size_t count) {
        cache_bytes_ = 1'000'000'000;
        restart();
        for (std::size_t n = 0; n < count; ++n) {
            Bytes bytes = random_bytes(1 + random_.u32() % kMaxChunkBytes, seed_ + n);
            const ChunkId id = name_of(bytes);
            ASSERT_TRUE(store(id, bytes).ok());
            contents_.push_back({id, std::move(bytes)});
        }
        for (const Content& content : contents_) ASSERT_TRUE(wait_cached(content.id));
    }

    void damage(const ChunkId& id, Damage kind) {
        const auto path = file_of(id);
        const std::uint64_t size = std::filesystem::file_size(path);
        switch (kind) {
            case Damage::kFlippedBit:
                return flip(path, random_.u64() % size);
            case Damage::kTruncated:
                return std::filesystem::resize_file(path, random_.u64() % size);
            case Damage::kZeroedTail:  // as after a power cut; never only what was zero before
                std::filesystem::resize_file(path, size - 1 - random_.u64() % (size - 1));
                return std::filesystem::resize_file(path, size);
            case Damage::kFooter:
                return flip(path, size - 1 - random_.u64() % cache::kTrailerBytes);
            case Damage::kEmpty:
                return std::filesystem::resize_file(path, 0);
        }
    }
    void flip(const std::filesystem::path& path, std::uint64_t at) {
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekg(static_cast<std::streamoff>(at));
        const int old = file.get();
        file.seekp(static_cast<std::streamoff>(at));
        file.put(static_cast<char>(old ^ (1 << random_.u32() % 8)));
    }
    bool is_good(const ChunkId& id) {
        std::optional<Status> outcome;
        cache_->verify(id, [&](Status status) { outcome = std::move(status); });
        EXPECT_TRUE(wait([&] { return outcome.has_value(); }));
        return outcome->ok();
    }

    const std::uint64_t seed_ = number_of("KOLLATOR_SEED", 20261122);
    SeededRandom random_{seed_};
    std::vector<Content> contents_;
};

TEST_F(BitRotTest, AllOfItIsFoundAndHealedAndNoneOfItServed) {
    const std::size_t count = number_of("KOLLATOR_BIT_ROT_FILES", 200);
    std::cout << "seed=" << seed_ << " files=" << count << '\n';
    fill(count);
    for (std::size_t n = 0; n < count; ++n) {
        damage(contents_[n].id, static_cast<Damage>(n % kDamages));
    }
    // The fixture fails at the first wrong byte.
    for (std::size_t n = 0; n < count; n += 2) {
        const auto taker = take(contents_[n].id, contents_[n].bytes);
        ASSERT_TRUE(wait([&] { return taker->ended(); }));
        ASSERT_TRUE(taker->finished) << taker->error->detail;
        ASSERT_EQ(taker->taken, contents_[n].bytes.size());
    }
    const std::uint64_t by_readers = cache_->stats().corruptions;

    cache::ScrubOptions options;
    options.folder = folder_.path() / "cache";
    options.interval = std::chrono::seconds(1);
    options.max_bytes_per_second = 1'000'000'000;
    options.longest_pause = std::chrono::milliseconds(1);
    cache::Scrubber scrubber(loop_, jobs_, fs_, clock_, *cache_, options,
                             [this](const ChunkId& id) { service_->repair(id); });
    Timer timer(loop_);
    const std::function<void()> pass_time = [&] {
        clock_.advance(std::chrono::milliseconds(100));
        timer.start_after(std::chrono::milliseconds(1), pass_time);
    };
    pass_time();
    ASSERT_TRUE(wait([&] { return scrubber.stats().state.passes >= 1; }));
    ASSERT_TRUE(wait([&] { return service_->stats().repairs == scrubber.stats().state.damaged; }));
    timer.cancel();

    const std::uint64_t by_scrub = scrubber.stats().state.damaged;
    std::cout << "found by readers " << by_readers << ", by the scrub " << by_scrub << '\n';
    EXPECT_EQ(by_readers, (count + 1) / 2);
    EXPECT_EQ(by_readers + by_scrub, count);
    EXPECT_EQ(service_->stats().repair_failures, 0U);
    for (const Content& content : contents_) {
        ASSERT_TRUE(wait_cached(content.id));
        EXPECT_TRUE(is_good(content.id)) << content.id.hex();
        const auto taker = take(content.id, content.bytes);
        ASSERT_TRUE(wait([&] { return taker->ended(); }));
        EXPECT_TRUE(taker->finished);
    }
    EXPECT_EQ(cache_->stats().corruptions, count) << "and none is left";
}

}  // namespace
}  // namespace kollator::chunk
