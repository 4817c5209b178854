#include "cli/commands.h"

#include <gtest/gtest.h>

#include <deque>

#include "cli/dht_status.h"

namespace kollator::cli {
namespace {

const std::string kOne(64, '1');
const std::string kTwo(64, '2');

class ScriptedClient final : public WorkerClient {
 public:
    ScriptedClient() : WorkerClient({"http://worker", ""}) {}
    std::deque<Result<HttpReply>> replies;
    std::vector<std::string> asked;

 protected:
    Result<HttpReply> exchange(const std::string& method, const std::string& path) override {
        asked.push_back(method + " " + path);
        if (replies.empty()) return make_error(ErrorCode::kUnavailable, "refused");
        auto reply = replies.front();
        replies.pop_front();
        return reply;
    }
};

class CommandsTest : public ::testing::Test {
 protected:
    void answer(long status, const std::string& body) {
        client_.replies.push_back(HttpReply{status, body});
    }
    int run_list(const config::ListOptions& options = {}) {
        return list(client_, options, output_);
    }
    int run_remove(const std::vector<std::string>& hashes, bool torrents = false) {
        config::RemoveOptions options;
        options.hashes = hashes;
        options.torrents = torrents;
        return remove(client_, options, output_);
    }

    ScriptedClient client_;
    std::vector<std::string> results_;
    std::vector<std::string> faults_;
    const Output output_{[this](const std::string& line) { results_.push_back(line); },
                         [this](const std::string& line) { faults_.push_back(line); }};
};

TEST_F(CommandsTest, ListsAllPages) {
    answer(200, R"({"chunks":[{"hash":")" + kOne + R"(","size":5}],"more":true,"next":")" + kOne +
                    "\"}");
    answer(200, R"({"chunks":[{"hash":")" + kTwo + R"(","size":7}],"more":false,"next":null})");
    EXPECT_EQ(run_list(), 0);
    EXPECT_EQ(results_, (std::vector<std::string>{kOne + "\t5", kTwo + "\t7"}));
    EXPECT_EQ(client_.asked,
              (std::vector<std::string>{"GET /chunks?limit=1000&store=1",
                                        "GET /chunks?limit=1000&store=1&after=" + kOne}));
}

TEST_F(CommandsTest, ListsTorrentsWithNamesThatATerminalMayBeGiven) {
    const std::string body = R"({"torrents":[{"hash":")" + kOne +
                             R"(","metadataSize":300,"name":"a\u001b[2J","size":9},{"hash":")" +
                             kTwo + R"(","metadataSize":1,"name":null,"size":null}],"next":null})";
    answer(200, body);
    EXPECT_EQ(run_list({.torrents = true, .cached = true}), 0);
    EXPECT_EQ(results_, (std::vector<std::string>{kOne + "\t9\ta?[2J", kTwo + "\t-\t-"}));
    EXPECT_EQ(client_.asked.at(0), "GET /torrents?limit=1000&store=0");
    answer(200, body);
    EXPECT_EQ(run_list({.torrents = true, .json = true}), 0);
    EXPECT_EQ(results_.at(2),
              R"({"hash":")" + kOne + R"(","metadataSize":300,"name":"a\u001b[2J","size":9})");
}

TEST_F(CommandsTest, SaysWhatIsWrongWithTheWorker) {
    EXPECT_EQ(run_list(), kExitUnreachable);
    answer(401, R"({"error":{"code":"unauthorized","message":"this needs a token"}})");
    EXPECT_EQ(run_list(), kExitForbidden);
    EXPECT_EQ(faults_.at(1), "not allowed: this needs a token; set ADMIN_TOKEN to the worker's");
    answer(503, R"({"error":{"code":"unavailable","message":"no store"}})");
    EXPECT_EQ(run_list(), config::kExitFailure);
    EXPECT_EQ(faults_.at(2), "the worker answered 503: no store");
    for (const char* body : {"", "<html>", "[]", "{}", R"({"chunks":[{}]})", R"({"chunks":[1]})",
                             R"({"chunks":[],"next":""})"}) {
        answer(200, body);
        EXPECT_EQ(run_list(), config::kExitFailure) << body;
    }
    answer(404, "not here");
    EXPECT_EQ(run_list(), config::kExitFailure);
    EXPECT_TRUE(results_.empty());
}

TEST_F(CommandsTest, RemovesEachAndTellsHow) {
    answer(200, R"({"hash":"x","removed":true,"due":null})");
    answer(200, R"({"hash":"x","removed":false,"due":1802908800})");
    EXPECT_EQ(run_remove({kOne, kTwo}, true), 0);
    EXPECT_EQ(results_,
              (std::vector<std::string>{kOne + "\tremoved", kTwo + "\tdelayed until 2027-02-18"}));
    EXPECT_EQ(client_.asked,
              (std::vector<std::string>{"DELETE /torrents/" + kOne, "DELETE /torrents/" + kTwo}));
}

TEST_F(CommandsTest, RemovesNothingWhereOneNameIsNone) {
    EXPECT_EQ(run_remove({kOne, "../x"}), config::kExitUsage);
    EXPECT_TRUE(client_.asked.empty());
    EXPECT_EQ(faults_.at(0), "\"../x\": expected a hash, 64 lowercase hex digits");
}

TEST_F(CommandsTest, GoesOnAfterAFailureOfOneNameOnly) {
    answer(503, "{}");
    answer(200, R"({"removed":true,"due":null})");
    EXPECT_EQ(run_remove({kOne, kTwo}), config::kExitFailure);
    EXPECT_EQ(results_, (std::vector<std::string>{kTwo + "\tremoved"}));
    client_.asked.clear();
    EXPECT_EQ(run_remove({kOne, kTwo}), kExitUnreachable);
    EXPECT_EQ(client_.asked.size(), 1U);
}

TEST_F(CommandsTest, TellsHowAWorkerStandsInTheDht) {
    answer(200, R"({"dht":{"enabled":true,"ports":[6881],"announcer":{"keys":258,"due":1,"late":0,
        "oldestAge":77},"lookups":{"asked":9,"cached":4,"withPeers":3,"done":5,"unanswered":1,
        "successRate":0.8},"network":{"contacts":90,"good":80,"stale":2,"lost":false,
        "estimatedSize":15000000,"rttMs":93.25,"tables":[{"family":4,"nodeId":"ab","nodes":90,
        "replacements":4}]}}})");
    EXPECT_EQ(dht_status(client_, false, output_), 0);
    EXPECT_EQ(client_.asked.front(), "GET /stats");
    ASSERT_GE(results_.size(), 6U);
    EXPECT_EQ(results_[0], "port            [6881]");
    EXPECT_EQ(results_[1], "node (IPv4)     ab, 90 nodes, 4 replacements");
    EXPECT_EQ(results_[2], "contacts        90, 80 good, 2 stale");
    EXPECT_NE(results_[3].find("15000000 nodes, round trip 93.2 ms"), std::string::npos);
    EXPECT_EQ(results_[4], "announced       258 keys, 1 due, 0 late, the oldest 77 s ago");
    EXPECT_EQ(results_[5],
              "look-ups        9 asked, 4 from the cache, 3 of 5 with peers, success rate 80.0 % "
              "(1 unanswered)");
}

TEST_F(CommandsTest, AWorkerThatIsNotInTheDhtOrLostItIsAFailure) {
    answer(200, R"({"dht":{"enabled":false}})");
    EXPECT_EQ(dht_status(client_, false, output_), 1);
    EXPECT_NE(faults_.at(0).find("DHT_BOOTSTRAP_NODES"), std::string::npos);
    answer(200, R"({"dht":{"enabled":true,"network":{"lost":true,"silence":301}}})");
    EXPECT_EQ(dht_status(client_, true, output_), 1);
    EXPECT_EQ(faults_.at(1), "no node has answered for 301 s");
    answer(200, R"({"dht":7})");
    EXPECT_EQ(dht_status(client_, false, output_), 1);
    EXPECT_EQ(dht_status(client_, false, output_), kExitUnreachable);
}

}  // namespace
}  // namespace kollator::cli
