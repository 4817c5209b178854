// The filesystem store between processes that store, read and delete the same names, and on real
// file systems that are full or read-only. KOLLATOR_SHARED_OPERATIONS sets how many operations each
// process does (2,000), KOLLATOR_SEED what they are.

#include <gtest/gtest.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <optional>

#include "crypto/hash.h"
#include "crypto/system_random.h"
#include "store/filesystem_store.h"
#include "tests/support/child_process.h"
#include "tests/support/temp_folder.h"

namespace kollator::store {
namespace {

using std::chrono::seconds;
using testing::ChildProcess;
using testing_support::TempFolder;

constexpr std::size_t kNames = 12;  // few: the processes meet at each of them all the time

std::string setting(const char* name, const char* otherwise) {
    const char* const value = ::getenv(name);
    return value != nullptr ? value : otherwise;
}

SharedBuffer content(std::uint64_t seed, std::size_t size_bytes) {
    SeededRandom random(seed);
    auto buffer = std::make_shared<Buffer>(size_bytes);
    random.fill(buffer->span());
    return buffer;
}

/// A store with calls that wait for their answer.
class BlockingStore {
 public:
    explicit BlockingStore(const std::filesystem::path& root)
        : store_(make_filesystem_store(loop_, jobs_, posix_file_system(), crypto::system_random(),
                                       {root})) {}

    Result<PutOutcome> put(const SharedBuffer& body) {
        const auto hash = crypto::sha256(body->span());
        return wait<PutOutcome>([&](auto on_done) {
            return store_->put(ObjectKey(ChunkId(hash)), body, hash, on_done);
        });
    }
    Result<SharedBuffer> get(const ObjectKey& key) {
        return wait<SharedBuffer>(
            [&](auto on_done) { return store_->get(key, {}, nullptr, on_done); });
    }
    Result<ListPage> list() {
        return wait<ListPage>([&](auto on_done) {
            return store_->list(ObjectKind::kChunk, {}, kMaxListEntries, on_done);
        });
    }
    Status remove(const ObjectKey& key) {
        return wait<void>([&](auto on_done) { return store_->remove(key, on_done); });
    }
    Status probe() {
        return wait<void>([&](auto on_done) { return store_->probe(on_done); });
    }

 private:
    template <typename T, typename Begin>
    Result<T> wait(Begin begin) {
        std::optional<Result<T>> answer;
        const TransferHandle handle = begin([&](Result<T> got) { answer = std::move(got); });
        if (!loop_.run_until([&] { return answer.has_value(); }, seconds(120))) {
            return make_error(ErrorCode::kTimeout, "no answer");
        }
        return *std::move(answer);
    }

    EventLoop loop_;
    JobPool jobs_{2};
    std::unique_ptr<ObjectStore> store_;
};

ObjectKey key_of(const SharedBuffer& body) {
    return ObjectKey(ChunkId(crypto::sha256(body->span())));
}

/// Empty where all went well.
std::string store_read_and_delete(const std::filesystem::path& root, std::uint64_t seed,
                                  int operations) {
    std::vector<SharedBuffer> bodies;
    for (std::size_t i = 0; i < kNames; ++i) bodies.push_back(content(i, 1'000 + 50'000 * i));
    BlockingStore store(root);
    SeededRandom random(seed);
    for (int i = 0; i < operations; ++i) {
        const SharedBuffer& body = bodies[random.u32() % kNames];
        switch (random.u32() % 4) {
            case 0:
                if (const auto put = store.put(body); !put) return "put: " + put.error().detail;
                break;
            case 1:
                if (const auto gone = store.remove(key_of(body)); !gone) {
                    return "remove: " + gone.error().detail;
                }
                break;
            case 2: {
                const auto got = store.get(key_of(body));
                if (!got && got.error().code != ErrorCode::kNotFound) {
                    return "get: " + got.error().detail;
                }
                if (got && key_of(*got) != key_of(body)) return "get: wrong bytes";
                break;
            }
            default:
                if (const auto page = store.list(); !page) return "list: " + page.error().detail;
        }
    }
    return "";
}

// Run by the test below in a process of its own.
TEST(FilesystemSharedChild, DISABLED_StoresReadsAndDeletes) {
    const std::string fault =
        store_read_and_delete(setting("SHARED_ROOT", ""), std::stoull(setting("SHARED_SEED", "1")),
                              std::stoi(setting("KOLLATOR_SHARED_OPERATIONS", "2000")));
    std::printf("%s\n", fault.empty() ? "WELL" : fault.c_str());
}

TEST(FilesystemShared, ProcessesThatStoreReadAndDeleteTheSameNamesSeeWholeObjectsOrNone) {
    const std::uint64_t seed = std::stoull(setting("KOLLATOR_SEED", "20260102"));
    std::cout << "seed=" << seed << std::endl;
    const TempFolder folder;
    std::vector<ChildProcess> children;
    for (std::uint64_t i = 0; i < 3; ++i) {
        auto child = ChildProcess::start(
            {.command = {"/proc/self/exe", "--gtest_also_run_disabled_tests",
                         "--gtest_filter=FilesystemSharedChild.*", "--gtest_brief=1"},
             .environment = {{"SHARED_ROOT", folder.path()},
                             {"SHARED_SEED", std::to_string(seed + i)}}});
        ASSERT_TRUE(child.ok());
        children.push_back(std::move(*child));
    }
    for (ChildProcess& child : children) {
        std::string last;
        while (true) {
            const auto line = child.read_line(seconds(300));
            if (!line) {
                ASSERT_EQ(line.error().code, ErrorCode::kNotFound) << line.error().detail;
                break;
            }
            if (*line == "WELL" || line->find(": ") != std::string::npos) last = *line;
        }
        EXPECT_EQ(last, "WELL");
    }
    EXPECT_TRUE(std::filesystem::is_empty(folder.path() / "tmp"));
}

/// A mount namespace of our own, where a small tmpfs can be mounted; false where that is not
/// allowed. The threads that are made after it are in it too.
bool enter_mount_namespace() {
    if (::unshare(CLONE_NEWNS) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
    return ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

class FilesystemLimits : public ::testing::Test {
 protected:
    void SetUp() override {
        if (!enter_mount_namespace() || !mount_root("size=2m")) {
            GTEST_SKIP() << "mounting a file system is not allowed here";
        }
    }
    void TearDown() override { ::umount2(folder_.path().c_str(), MNT_DETACH); }

    bool mount_root(const char* options, unsigned long flags = 0) {
        return ::mount("tmpfs", folder_.path().c_str(), "tmpfs", flags, options) == 0;
    }

    const TempFolder folder_;
};

TEST_F(FilesystemLimits, AFullDiskRefusesWithALimitKeepsAllAndTakesMoreWhenThereIsRoom) {
    BlockingStore store(folder_.path());
    std::vector<SharedBuffer> stored;
    Result<PutOutcome> last = PutOutcome::kStored;
    for (std::uint64_t seed = 0; seed < 50 && last; ++seed) {
        const SharedBuffer body = content(seed, 150'000);
        last = store.put(body);
        if (last) stored.push_back(body);
    }
    ASSERT_FALSE(last);
    EXPECT_EQ(last.error().code, ErrorCode::kLimit) << last.error().detail;
    ASSERT_GT(stored.size(), 5U);
    for (const SharedBuffer& body : stored) {
        const auto got = store.get(key_of(body));
        ASSERT_TRUE(got);
        EXPECT_EQ(key_of(*got), key_of(body));
    }
    EXPECT_EQ(store.list()->entries.size(), stored.size());
    EXPECT_TRUE(std::filesystem::is_empty(folder_.path() / "tmp"));

    ASSERT_TRUE(store.remove(key_of(stored[0])));
    ASSERT_TRUE(store.remove(key_of(stored[1])));
    EXPECT_TRUE(store.put(content(1000, 150'000)));
}

TEST_F(FilesystemLimits, AReadOnlyDiskServesAndIsUnavailableForTheRest) {
    const SharedBuffer body = content(1, 1000);
    {
        BlockingStore store(folder_.path());
        ASSERT_TRUE(store.put(body));
    }
    ASSERT_EQ(::mount("none", folder_.path().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0);
    BlockingStore store(folder_.path());  // as after a restart
    EXPECT_TRUE(store.get(key_of(body)));
    EXPECT_EQ(store.list()->entries.size(), 1U);
    EXPECT_EQ(store.put(content(2, 1000)).error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(store.remove(key_of(body)).error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(store.probe().error().code, ErrorCode::kUnavailable);
    ASSERT_EQ(::mount("none", folder_.path().c_str(), nullptr, MS_REMOUNT, nullptr), 0);
    EXPECT_TRUE(store.put(content(2, 1000)));
    EXPECT_TRUE(store.probe());
}

}  // namespace
}  // namespace kollator::store
