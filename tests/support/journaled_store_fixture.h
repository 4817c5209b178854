#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <optional>
#include <set>

#include "crypto/hash.h"
#include "store/journal/journaled_store.h"
#include "tests/support/fake_object_store.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/temp_folder.h"

namespace kollator::store {
using std::chrono::seconds;
using testing_support::FakeObjectStore;
using testing_support::FaultyFileSystem;
using testing_support::FileOperation;

inline constexpr seconds kPatience{30};

struct Sample {
    ObjectKey key{ChunkId()};
    Bytes bytes;
    std::array<std::uint8_t, 32> digest{};
};

inline Sample make_sample(std::uint64_t seed, std::size_t size = 1000) {
    Sample sample;
    sample.bytes.resize(size);
    SeededRandom(seed).fill(sample.bytes);
    sample.digest = crypto::sha256(sample.bytes);
    sample.key = ObjectKey(ChunkId(sample.digest));
    return sample;
}

/// Metadata whose content changes with `version` and whose name does not.
inline Sample make_torrent(std::uint64_t version) {
    Sample sample = make_sample(version);
    sample.key = ObjectKey(MetadataId(make_sample(999).digest));
    return sample;
}

class JournaledStoreTest : public testing::Test {
 protected:
    JournaledStoreTest() {
        options_.root = root_;
        // What the loop's own timer waits for; the pause is the manual clock's.
        options_.backlog.min_pause = std::chrono::milliseconds(2);
        options_.backlog.max_pause = std::chrono::milliseconds(10);
        open();
    }

    void open() {
        store_.reset();
        auto opened =
            JournaledStore::open(loop_, jobs_, fs_, clock_, random_, below_, options_, metrics_);
        ASSERT_TRUE(opened.ok()) << opened.error().detail;
        store_ = std::move(*opened);
    }
    bool wait(const std::function<bool()>& done) { return loop_.run_until(done, kPatience); }
    bool wait_sent(std::uint64_t count) {
        return wait([&] { return store_->journal_stats().sent == count; });
    }
    /// Until the jobs given so far, and what they posted, have run.
    void settle() {
        for (int round = 0; round < 3; ++round) {
            std::atomic<int> passed{0};
            for (int i = 0; i < 2; ++i) {
                jobs_.run(
                    loop_, [] {}, [&] { ++passed; });
            }
            ASSERT_TRUE(wait([&] { return passed == 2 && jobs_.queued() == 0; }));
        }
    }
    static SharedBuffer buffer_of(const Bytes& bytes) {
        auto buffer = std::make_shared<Buffer>(bytes.size());
        std::copy(bytes.begin(), bytes.end(), buffer->data());
        return buffer;
    }
    Result<PutOutcome> put(const Sample& sample) {
        std::optional<Result<PutOutcome>> outcome;
        const auto handle = store_->put(sample.key, buffer_of(sample.bytes), sample.digest,
                                        [&](auto got) { outcome = std::move(got); });
        EXPECT_FALSE(outcome) << "answered before put() returned";
        EXPECT_TRUE(wait([&] { return outcome.has_value(); }));
        return *outcome;
    }
    Result<Bytes> get(const ObjectKey& key, const GetOptions& options = {.max_bytes = 1'000'000}) {
        std::optional<Result<SharedBuffer>> result;
        const auto handle =
            store_->get(key, options, nullptr, [&](auto got) { result = std::move(got); });
        EXPECT_FALSE(result);
        EXPECT_TRUE(wait([&] { return result.has_value(); }));
        if (!*result) return result->error();
        return Bytes(result->value()->data(), result->value()->data() + result->value()->size());
    }
    Status remove(const ObjectKey& key) {
        std::optional<Status> status;
        const auto handle = store_->remove(key, [&](auto got) { status = std::move(got); });
        EXPECT_FALSE(status);
        EXPECT_TRUE(wait([&] { return status.has_value(); }));
        return *status;
    }
    std::vector<std::string> names() const {
        std::set<std::string> found;
        for (const auto& entry : std::filesystem::directory_iterator(root_)) {
            if (entry.is_regular_file()) found.insert(entry.path().filename());
        }
        return {found.begin(), found.end()};
    }
    void fail(FileOperation operation, ErrorCode code = ErrorCode::kUnavailable) {
        fs_.set_hook([operation, code](FileOperation asked, const auto&) {
            return asked == operation ? std::optional(make_error(code, "fault")) : std::nullopt;
        });
    }

    testing_support::TempFolder folder_;
    const std::filesystem::path root_ = folder_.path() / "journal";
    FaultyFileSystem fs_;
    ManualClock clock_;
    SeededRandom random_{7};
    MetricsRegistry metrics_;
    EventLoop loop_;
    JobPool jobs_{2};
    FakeObjectStore below_{loop_};
    JournalOptions options_;
    std::unique_ptr<JournaledStore> store_;
};

}  // namespace kollator::store
