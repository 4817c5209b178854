#include "store/filesystem_store.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <optional>

#include "crypto/hash.h"

namespace kollator::store {
namespace {

using std::chrono::seconds;

constexpr auto kDeadline = seconds(60);

SharedBuffer content(std::uint64_t seed, std::size_t size_bytes) {
    SeededRandom random(seed);
    auto buffer = std::make_shared<Buffer>(size_bytes);
    random.fill(buffer->span());
    return buffer;
}

class FilesystemStoreTest : public testing::Test {
 protected:
    FilesystemStoreTest() {
        std::string pattern = std::filesystem::temp_directory_path() / "kollator-fs-XXXXXX";
        root_ = ::mkdtemp(pattern.data());
        store_ = open();
    }
    ~FilesystemStoreTest() override {
        store_.reset();
        pool_.reset();
        std::error_code ignored;
        std::filesystem::remove_all(root_, ignored);
    }

    std::unique_ptr<ObjectStore> open() {
        return make_filesystem_store(loop_, *pool_, posix_file_system(), random_, {root_});
    }
    template <typename T>
    Result<T> wait(std::optional<Result<T>>& answer) {
        EXPECT_TRUE(loop_.run_until([&] { return answer.has_value(); }, kDeadline));
        return std::move(*answer);
    }
    Result<PutOutcome> put(ObjectStore& store, const SharedBuffer& body) {
        const auto hash = crypto::sha256(body->span());
        std::optional<Result<PutOutcome>> answer;
        const auto handle = store.put(ObjectKey(ChunkId(hash)), body, hash,
                                      [&](Result<PutOutcome> result) { answer = result; });
        return wait(answer);
    }
    Result<SharedBuffer> get(ObjectStore& store, const ObjectKey& key) {
        std::optional<Result<SharedBuffer>> answer;
        const auto handle =
            store.get(key, {}, nullptr, [&](Result<SharedBuffer> result) { answer = result; });
        return wait(answer);
    }

    std::filesystem::path root_;
    EventLoop loop_;
    SeededRandom random_{1};
    std::unique_ptr<JobPool> pool_ = std::make_unique<JobPool>(2);
    std::unique_ptr<ObjectStore> store_;
};

ObjectKey key_of(const SharedBuffer& body) {
    return ObjectKey(ChunkId(crypto::sha256(body->span())));
}

TEST_F(FilesystemStoreTest, StoresServesCountsAndDescribesItself) {
    const SharedBuffer body = content(1, 100'000);
    EXPECT_EQ(get(*store_, key_of(body)).error().code, ErrorCode::kNotFound);
    EXPECT_EQ(put(*store_, body).value(), PutOutcome::kStored);
    EXPECT_EQ(put(*store_, body).value(), PutOutcome::kAlreadyThere);
    const auto got = get(*store_, key_of(body));
    ASSERT_TRUE(got.ok());
    EXPECT_EQ(crypto::sha256((*got)->span()), crypto::sha256(body->span()));
    const StoreStats stats = store_->stats();
    EXPECT_EQ(stats.requests, 4U);
    EXPECT_EQ(stats.errors, 0U);
    EXPECT_EQ(stats.uploaded_chunks, 1U);
    EXPECT_EQ(stats.uploaded_bytes, 100'000U);
    EXPECT_EQ(stats.downloaded_bytes, 100'000U);
    EXPECT_EQ(store_->describe(), "filesystem " + root_.string());
}

TEST_F(FilesystemStoreTest, TellsProgressBeforeTheEnd) {
    const SharedBuffer body = content(2, 5 << 20);
    ASSERT_TRUE(put(*store_, body).ok());
    std::size_t last = 0;
    std::optional<Result<SharedBuffer>> answer;
    const auto handle = store_->get(
        key_of(body), {},
        [&](const SharedBuffer& buffer, std::size_t available, std::uint64_t size) {
            EXPECT_FALSE(answer.has_value());
            EXPECT_GE(available, last);
            EXPECT_EQ(size, body->size());
            EXPECT_EQ(buffer->span()[available - 1], body->span()[available - 1]);
            last = available;
        },
        [&](Result<SharedBuffer> result) { answer = result; });
    EXPECT_FALSE(answer.has_value());
    EXPECT_TRUE(wait(answer).ok());
    EXPECT_GT(last, 0U);
}

TEST_F(FilesystemStoreTest, TwoStoresShareOneFolder) {
    const auto other = open();
    std::size_t stored = 0;
    std::size_t there = 0;
    std::vector<TransferHandle> handles;
    constexpr std::size_t kObjects = 40;
    for (std::uint64_t seed = 0; seed < kObjects; ++seed) {
        const SharedBuffer body = content(seed, 3000);
        for (ObjectStore* store : {store_.get(), other.get()}) {
            handles.push_back(store->put(key_of(body), body, crypto::sha256(body->span()),
                                         [&](Result<PutOutcome> result) {
                                             ASSERT_TRUE(result.ok());
                                             ++(*result == PutOutcome::kStored ? stored : there);
                                         }));
        }
    }
    ASSERT_TRUE(loop_.run_until([&] { return stored + there == 2 * kObjects; }, kDeadline));
    EXPECT_GE(stored, kObjects);
    for (std::uint64_t seed = 0; seed < kObjects; ++seed) {
        const SharedBuffer body = content(seed, 3000);
        EXPECT_TRUE(get(*other, key_of(body)).ok());
    }
}

TEST_F(FilesystemStoreTest, ADestroyedHandleNeverCallsBack) {
    const SharedBuffer body = content(3, 5 << 20);
    ASSERT_TRUE(put(*store_, body).ok());
    bool called = false;
    auto mark = std::make_shared<int>(0);
    for (int i = 0; i < 20; ++i) {
        auto handle = store_->get(
            key_of(body), {},
            [&, mark](const SharedBuffer&, std::size_t, std::uint64_t) { called = true; },
            [&, mark](Result<SharedBuffer>) { called = true; });
        handle.reset();
    }
    EXPECT_EQ(mark.use_count(), 1);
    EXPECT_TRUE(get(*store_, key_of(body)).ok());
    EXPECT_FALSE(called);
}

TEST_F(FilesystemStoreTest, AHandleMayBeDestroyedByItsOwnCallback) {
    const SharedBuffer body = content(4, 5 << 20);
    ASSERT_TRUE(put(*store_, body).ok());
    TransferHandle handle;
    bool progressed = false;
    handle = store_->get(
        key_of(body), {},
        [&](const SharedBuffer&, std::size_t, std::uint64_t) {
            progressed = true;
            handle.reset();
        },
        [](Result<SharedBuffer>) { FAIL(); });
    ASSERT_TRUE(loop_.run_until([&] { return progressed; }, kDeadline));
    EXPECT_TRUE(get(*store_, key_of(body)).ok());
}

TEST_F(FilesystemStoreTest, MayBeDestroyedWithRequestsUnderWay) {
    const SharedBuffer body = content(5, 1 << 20);
    std::vector<TransferHandle> handles;
    for (int i = 0; i < 50; ++i) {
        handles.push_back(store_->put(key_of(body), body, crypto::sha256(body->span()),
                                      [](Result<PutOutcome>) { FAIL(); }));
    }
    store_.reset();
    store_ = open();
    EXPECT_EQ(get(*store_, key_of(content(6, 1))).error().code, ErrorCode::kNotFound);
    handles.clear();
}

TEST_F(FilesystemStoreTest, RefusesMoreThanItsQueueHolds) {
    const SharedBuffer body = content(7, 64 << 20);
    const auto hash = crypto::sha256(body->span());
    std::vector<TransferHandle> handles;
    std::size_t refused = 0;
    for (int i = 0; i < 6; ++i) {
        handles.push_back(
            store_->put(ObjectKey(ChunkId(hash)), body, hash, [&](Result<PutOutcome> result) {
                if (!result && result.error().code == ErrorCode::kLimit) ++refused;
            }));
        EXPECT_EQ(refused, 0U);
    }
    EXPECT_TRUE(loop_.run_until([&] { return refused == 2; }, kDeadline));
}

TEST_F(FilesystemStoreTest, AFolderThatCannotBeMadeShowsInTheProbe) {
    store_ =
        make_filesystem_store(loop_, *pool_, posix_file_system(), random_, {"/dev/null/objects"});
    std::optional<Result<void>> answer;
    const auto handle = store_->probe([&](Status status) { answer = status; });
    EXPECT_EQ(wait(answer).error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(store_->stats().errors, 1U);
}

}  // namespace
}  // namespace kollator::store
