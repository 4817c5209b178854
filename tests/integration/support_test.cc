// What the other integration tests stand on: children and the S3 server.

#include <gtest/gtest.h>
#include <signal.h>

#include "tests/support/child_process.h"
#include "tests/support/rgw.h"

namespace kollator::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kLong{60};

TEST(ChildProcess, GivesTheLinesThatTheChildWrites) {
    auto child = ChildProcess::start({.command = {"printf", "one\\n\\nlast"}, .environment = {}});
    ASSERT_TRUE(child);
    EXPECT_EQ(child->read_line(kLong).value(), "one");
    EXPECT_EQ(child->read_line(kLong).value(), "");
    EXPECT_EQ(child->read_line(kLong).value(), "last");
    EXPECT_EQ(child->read_line(kLong).error().code, ErrorCode::kNotFound);
    EXPECT_EQ(child->wait(kLong).value(), 0);
}

TEST(ChildProcess, TalksBothWays) {
    auto child = ChildProcess::start({.command = {"cat"}, .environment = {}});
    ASSERT_TRUE(child);
    ASSERT_TRUE(child->write("hello\nworld\n"));
    EXPECT_EQ(child->read_until("world", kLong).value(), "world");
    child->close_stdin();
    EXPECT_EQ(child->wait(kLong).value(), 0);
}

TEST(ChildProcess, SetsTheEnvironmentAndKeepsTheRest) {
    auto child = ChildProcess::start(
        {.command = {"sh", "-c", "echo $PORT; echo ${PATH:+kept}; echo loud >&2"},
         .environment = {{"PORT", "1234"}},
         .merge_stderr = true});
    ASSERT_TRUE(child);
    EXPECT_EQ(child->read_line(kLong).value(), "1234");
    EXPECT_EQ(child->read_line(kLong).value(), "kept");
    EXPECT_EQ(child->read_line(kLong).value(), "loud");
}

TEST(ChildProcess, SaysWhenThereIsNoSuchProgram) {
    auto child = ChildProcess::start({.command = {"/no/such/program"}, .environment = {}});
    ASSERT_FALSE(child);
    EXPECT_EQ(child.error().code, ErrorCode::kNotFound);
}

TEST(ChildProcess, TimesOutOnASilentChildAndEndsIt) {
    auto child = ChildProcess::start({.command = {"cat"}, .environment = {}});
    ASSERT_TRUE(child);
    EXPECT_EQ(child->read_line(milliseconds{20}).error().code, ErrorCode::kTimeout);
    EXPECT_EQ(child->wait(milliseconds{20}).error().code, ErrorCode::kTimeout);
    EXPECT_EQ(child->terminate(), 128 + SIGTERM);
    EXPECT_EQ(child->write("x").error().code, ErrorCode::kUnavailable);
}

TEST(RgwServer, StartsAndObeys) {
    auto server = RgwServer::start();
    ASSERT_TRUE(server) << server.error().detail;
    EXPECT_TRUE(server->endpoint().starts_with("http://127.0.0.1:")) << server->endpoint();
    EXPECT_FALSE(server->access_key().empty());
    EXPECT_FALSE(server->secret_key().empty());
    EXPECT_FALSE(server->bucket().empty());
    EXPECT_FALSE(server->region().empty());
    EXPECT_TRUE(server->pause());
    EXPECT_TRUE(server->resume());
    EXPECT_TRUE(server->kill());
    EXPECT_TRUE(server->restart());
}

}  // namespace
}  // namespace kollator::testing
