// The filesystem store's promise: what was acknowledged outlives kill -9, with two processes at
// work on one folder. KOLLATOR_KILL_CYCLES sets the number of kills (30), KOLLATOR_SEED their
// moments.

#include "store/filesystem_store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

#include <cstdio>
#include <iostream>
#include <optional>
#include <set>

#include "crypto/hash.h"
#include "crypto/system_random.h"
#include "tests/support/child_process.h"

namespace kollator::store {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ChildProcess;

constexpr std::size_t kPutsInFlight = 4;

std::string setting(const char* name, const char* otherwise) {
    const char* const value = ::getenv(name);
    return value != nullptr ? value : otherwise;
}

SharedBuffer content(std::uint64_t seed) {
    SeededRandom random(seed);
    auto buffer = std::make_shared<Buffer>(1 + random.u32() % 300'000);
    random.fill(buffer->span());
    return buffer;
}

/// The child: puts objects of a seeded sequence for ever, and says "ACK <hash>" for each.
class EndlessPuts {
 public:
    EndlessPuts(ObjectStore& store, std::uint64_t seed) : store_(store), next_(seed) {}

    void more() {
        while (handles_.size() < kPutsInFlight) {
            const SharedBuffer body = content(next_);
            const auto hash = crypto::sha256(body->span());
            handles_[next_] = store_.put(
                ObjectKey(ChunkId(hash)), body, hash, [this, id = next_, hash](auto result) {
                    if (result.ok()) {
                        std::printf("ACK %s\n", to_hex(hash).c_str());
                    } else {
                        std::printf("FAILED %s\n", result.error().detail.c_str());
                    }
                    std::fflush(stdout);
                    handles_.erase(id);
                    more();
                });
            ++next_;
        }
    }

 private:
    ObjectStore& store_;
    std::uint64_t next_;
    std::map<std::uint64_t, TransferHandle> handles_;
};

// Run by the test below in processes of its own.
TEST(FilesystemStoreChild, DISABLED_PutsUntilItIsKilled) {
    EventLoop loop;
    JobPool jobs(4);
    const auto store = make_filesystem_store(loop, jobs, posix_file_system(),
                                             crypto::system_random(), {setting("KILL_ROOT", "")});
    EndlessPuts puts(*store, std::stoull(setting("KILL_SEED", "1")));
    puts.more();
    loop.run();
}

Result<ChildProcess> start_child(const std::string& root, std::uint64_t seed) {
    return ChildProcess::start(
        {.command = {"/proc/self/exe", "--gtest_also_run_disabled_tests",
                     "--gtest_filter=FilesystemStoreChild.*"},
         .environment = {{"KILL_ROOT", root}, {"KILL_SEED", std::to_string(seed)}}});
}

/// Reads acknowledgements until `count` have come (0: until the child's end).
void read_acknowledged(ChildProcess& child, std::size_t count, std::set<std::string>& names) {
    for (std::size_t got = 0; count == 0 || got < count;) {
        const auto line = child.read_line(seconds(60));
        if (!line) {
            ASSERT_EQ(line.error().code, ErrorCode::kNotFound);
            ASSERT_EQ(count, 0U) << "the child ended by itself";
            return;
        }
        ASSERT_FALSE(line->starts_with("FAILED")) << *line;
        if (!line->starts_with("ACK ")) continue;
        names.insert(line->substr(4));
        ++got;
    }
}

/// Every object that can be seen, each read and compared with its name.
std::set<std::string> verified_names(const std::string& root) {
    EventLoop loop;
    JobPool jobs(2);
    const auto store =
        make_filesystem_store(loop, jobs, posix_file_system(), crypto::system_random(), {root});
    std::set<std::string> names;
    std::array<std::uint8_t, 32> after{};
    for (bool more = true; more;) {
        std::optional<Result<ListPage>> page;
        const auto listing =
            store->list(ObjectKind::kChunk, after, kMaxListEntries, [&](auto r) { page = r; });
        EXPECT_TRUE(loop.run_until([&] { return page.has_value(); }, seconds(120)));
        for (const auto& entry : (*page)->entries) {
            std::optional<Result<SharedBuffer>> got;
            const auto reading = store->get(ObjectKey(ChunkId(entry.hash)), {}, nullptr,
                                            [&](auto r) { got = std::move(r); });
            EXPECT_TRUE(loop.run_until([&] { return got.has_value(); }, seconds(120)));
            EXPECT_EQ(crypto::sha256((*got).value()->span()), entry.hash);
            names.insert(to_hex(entry.hash));
        }
        more = (*page)->more;
        if (more) after = (*page)->entries.back().hash;
    }
    return names;
}

TEST(FilesystemStore, KeepsWhatItAcknowledgedThroughKillsWithTwoProcessesOnOneFolder) {
    const int cycles = std::stoi(setting("KOLLATOR_KILL_CYCLES", "30"));
    const std::uint64_t seed = std::stoull(setting("KOLLATOR_SEED", "20260101"));
    std::cout << "seed=" << seed << " cycles=" << cycles << std::endl;
    std::string pattern = std::filesystem::temp_directory_path() / "kollator-kill-XXXXXX";
    const std::string root = ::mkdtemp(pattern.data());
    SeededRandom random(seed);
    std::set<std::string> acknowledged;
    for (int cycle = 0; cycle < cycles; ++cycle) {
        // Both write the same sequence at first, so that they meet at the same names.
        const std::uint64_t first = static_cast<std::uint64_t>(cycle) * 1'000'000;
        auto one = start_child(root, first);
        auto other = start_child(root, first);
        ASSERT_TRUE(one.ok() && other.ok());
        read_acknowledged(*one, 1 + random.u32() % 12, acknowledged);
        one->send_signal(SIGKILL);
        read_acknowledged(*other, 1 + random.u32() % 12, acknowledged);
        other->send_signal(SIGKILL);
        read_acknowledged(*one, 0, acknowledged);
        read_acknowledged(*other, 0, acknowledged);
        if (HasFatalFailure()) break;
    }
    const std::set<std::string> there = verified_names(root);
    std::size_t missing = 0;
    for (const std::string& name : acknowledged) missing += there.count(name) == 0 ? 1 : 0;
    EXPECT_EQ(missing, 0U);
    EXPECT_GT(acknowledged.size(), static_cast<std::size_t>(cycles));
    std::cout << "acknowledged=" << acknowledged.size() << " there=" << there.size() << std::endl;
    std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace kollator::store
