#pragma once

#include <gtest/gtest.h>

#include <barrier>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "base/random.h"
#include "chunk/store_chunk_service.h"
#include "crypto/hash.h"
#include "tests/support/fake_object_store.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/temp_folder.h"

namespace kollator::chunk {

inline constexpr std::chrono::seconds kPatience{30};

/// A reader that takes all it can get, and checks each byte against what is expected.
class Taker {
 public:
    Taker(ChunkService& service, const ChunkId& id, Bytes expected, std::uint32_t offset = 0,
          std::uint32_t length = 0)
        : expected_(std::move(expected)), position_(offset) {
        reader = service.open(id, offset, length, [this] { ready(); });
    }

    std::unique_ptr<Reader> reader;
    std::size_t taken = 0;
    std::size_t slices = 0;
    bool finished = false;
    std::optional<Error> error;
    bool stalled = false;  // on_ready is noted only
    bool ready_seen = false;
    std::uint32_t max_bytes = 60'000;
    std::vector<BufferSlice> kept;  // as a connection that has not sent them yet
    bool keep = false;

    bool ended() const { return finished || error.has_value(); }
    void take() {
        stalled = false;
        while (!ended()) {
            ready_seen = false;
            auto slice = reader->next(max_bytes);
            if (!slice) {
                error = slice.error();
                return;
            }
            if (!*slice) return;
            check(**slice);
            if (keep) kept.push_back(**slice);
            finished = reader->finished();
        }
    }
    /// One slice, if there is one.
    bool take_one() {
        auto slice = reader->next(max_bytes);
        if (!slice || !*slice) return false;
        check(**slice);
        finished = reader->finished();
        return true;
    }

 private:
    void ready() {
        ready_seen = true;
        if (!stalled) take();
    }
    void check(const BufferSlice& slice) {
        ASSERT_LE(slice.bytes.size(), max_bytes);
        ASSERT_FALSE(slice.bytes.empty());
        ASSERT_GT(reader->total_bytes(), 0U);
        if (!expected_.empty()) {
            ASSERT_LE(position_ + slice.bytes.size(), expected_.size());
            ASSERT_TRUE(std::equal(slice.bytes.begin(), slice.bytes.end(),
                                   expected_.begin() + static_cast<std::ptrdiff_t>(position_)));
        }
        position_ += slice.bytes.size();
        taken += slice.bytes.size();
        ++slices;
        ASSERT_EQ(reader->position(), position_);
    }

    const Bytes expected_;
    std::size_t position_;
};

class ServiceTest : public testing::Test {
 protected:
    ServiceTest() { restart(); }

    void restart() {
        service_.reset();
        cache_.reset();
        metadata_cache_.reset();
        cache::CacheOptions options;
        options.path = folder_.path() / "cache";
        options.max_bytes = cache_bytes_;
        cache_ = cache::open_disk_cache(loop_, jobs_, fs_, clock_, options);
        options.path = folder_.path() / "metadata";
        options.max_bytes = metadata_cache_bytes_;
        metadata_cache_ = cache::open_disk_cache(loop_, jobs_, fs_, clock_, options);
        service_ = make_chunk_service(loop_, jobs_, clock_, *cache_, *metadata_cache_, store_,
                                      options_, metrics_);
    }
    static Bytes random_bytes(std::size_t size, std::uint64_t seed) {
        Bytes bytes(size);
        SeededRandom(seed).fill(bytes);
        return bytes;
    }
    static ChunkId name_of(ByteSpan bytes) { return ChunkId(crypto::sha256(bytes)); }
    static store::ObjectKey key_of(const ChunkId& id) { return store::ObjectKey(id); }
    /// In the object store only.
    ChunkId put_in_store(const Bytes& bytes) {
        const ChunkId id = name_of(bytes);
        store_.objects[key_of(id)] = bytes;
        return id;
    }
    std::unique_ptr<Taker> take(const ChunkId& id, const Bytes& expected, std::uint32_t offset = 0,
                                std::uint32_t length = 0) {
        auto taker = std::make_unique<Taker>(*service_, id, expected, offset, length);
        taker->take();
        return taker;
    }
    bool wait(const std::function<bool()>& done) { return loop_.run_until(done, kPatience); }
    bool wait_cached(const ChunkId& id) {
        return wait([&] { return cache_->size_of(id).has_value(); });
    }
    /// Runs what is posted now, and what that posts, without waiting for anything else.
    void turn() {
        int turns = 0;
        std::function<void()> again = [&] {
            if (++turns < 10) loop_.post(again);
        };
        again();
        ASSERT_TRUE(wait([&] { return turns >= 10; }));
    }
    /// What the jobs had to do is done, and what came of it has been heard of. What that begins
    /// anew is not waited for.
    void settle_jobs() {
        std::barrier meeting(kThreads);
        int met = 0;
        for (int n = 0; n < kThreads; ++n) {
            jobs_.run(
                loop_, [&] { meeting.arrive_and_wait(); }, [&] { ++met; });
        }
        ASSERT_TRUE(wait([&] { return met == kThreads; }));
        turn();
    }
    SharedBuffer buffer_of(const Bytes& bytes) {
        auto buffer = std::make_shared<Buffer>(bytes.size());
        std::copy(bytes.begin(), bytes.end(), buffer->data());
        return buffer;
    }
    Result<StoreOutcome> store(const ChunkId& id, const Bytes& bytes) {
        std::optional<Result<StoreOutcome>> outcome;
        service_->store(id, buffer_of(bytes), [&](auto result) { outcome = std::move(result); });
        EXPECT_FALSE(outcome) << "answered before store() returned";
        EXPECT_TRUE(wait([&] { return outcome.has_value(); }));
        return *outcome;
    }
    std::filesystem::path file_of(const ChunkId& id) const {
        return folder_.path() / "cache" / id.hex().substr(0, 2) / id.hex();
    }

    testing_support::TempFolder folder_;
    testing_support::FaultyFileSystem fs_;
    ManualClock clock_;
    MetricsRegistry metrics_;
    EventLoop loop_;
    static constexpr int kThreads = 2;
    JobPool jobs_{kThreads};
    testing_support::FakeObjectStore store_{loop_};
    ChunkServiceOptions options_;
    std::uint64_t cache_bytes_ = 100'000'000;
    std::uint64_t metadata_cache_bytes_ = 10'000'000;
    std::unique_ptr<cache::DiskCache> cache_;
    std::unique_ptr<cache::DiskCache> metadata_cache_;
    std::unique_ptr<StoreChunkService> service_;
};

}  // namespace kollator::chunk
