#include <gtest/gtest.h>

#include <map>
#include <set>

#include "front/documents.h"
#include "front/hash_ring.h"
#include "front/rate_limit.h"
#include "front/signaling_hub.h"
#include "front/worker_pool.h"

namespace kollator::front {
namespace {

using signaling::WorkerStatus;
using std::chrono::milliseconds;
using std::chrono::seconds;

bool anyone(const std::string&) {
    return true;
}

std::string owner(const HashRing& ring, int key) {
    const auto nodes = ring.nodes_for("10.0.0." + std::to_string(key), 1, anyone);
    return nodes.empty() ? "" : nodes[0];
}

TEST(HashRing, SpreadsKeysEvenly) {
    HashRing ring;
    for (int i = 0; i < 10; ++i) ring.add("worker-" + std::to_string(i));
    EXPECT_EQ(ring.points(), 10 * HashRing::kVirtualNodes);
    std::map<std::string, int> load;
    constexpr int kKeys = 20'000;
    for (int key = 0; key < kKeys; ++key) ++load[owner(ring, key)];
    ASSERT_EQ(load.size(), 10u);
    for (const auto& [node, count] : load) {
        // 150 points: a share's standard deviation is about 1/sqrt(150) = 8 % of it.
        EXPECT_GT(count, kKeys / 10 * 7 / 10) << node;
        EXPECT_LT(count, kKeys / 10 * 13 / 10) << node;
    }
}

TEST(HashRing, MovesOnlyTheKeysOfTheNodeThatComesOrGoes) {
    HashRing ring;
    for (int i = 0; i < 9; ++i) ring.add("worker-" + std::to_string(i));
    constexpr int kKeys = 5000;
    std::vector<std::string> before;
    for (int key = 0; key < kKeys; ++key) before.push_back(owner(ring, key));
    ring.add("new");
    int moved = 0;
    for (int key = 0; key < kKeys; ++key) {
        const std::string now = owner(ring, key);
        if (now == before[static_cast<std::size_t>(key)]) continue;
        EXPECT_EQ(now, "new");
        ++moved;
    }
    EXPECT_GT(moved, kKeys / 10 / 2);
    EXPECT_LT(moved, kKeys / 10 * 2);
    ring.remove("new");
    for (int key = 0; key < kKeys; ++key) {
        EXPECT_EQ(owner(ring, key), before[static_cast<std::size_t>(key)]);
    }
}

TEST(HashRing, GivesTheSameAlternativesWhateverTheOrderOfArrival) {
    HashRing one;
    HashRing two;
    for (const char* node : {"a", "b", "c", "d"}) one.add(node);
    for (const char* node : {"d", "b", "a", "c", "a"}) two.add(node);
    const auto nodes = one.nodes_for("192.0.2.1", 9, anyone);
    EXPECT_EQ(nodes, two.nodes_for("192.0.2.1", 9, anyone));
    EXPECT_EQ(std::set<std::string>(nodes.begin(), nodes.end()).size(), 4u);
    const auto without =
        one.nodes_for("192.0.2.1", 9, [&](const auto& n) { return n != nodes[0]; });
    EXPECT_EQ(without, std::vector<std::string>(nodes.begin() + 1, nodes.end()));
    EXPECT_TRUE(HashRing().nodes_for("x", 3, anyone).empty());
    EXPECT_TRUE(one.nodes_for("x", 3, [](const auto&) { return false; }).empty());
}

class WorkerPoolTest : public ::testing::Test {
 protected:
    void add(const std::string& id, std::uint64_t capacity = 10) {
        ASSERT_TRUE(
            pool_.add({id, 0, "", "http://" + id, capacity}, clock_.now(), clock_.wall_now()).ok());
    }
    void heard(const std::string& id, const WorkerStatus& status) {
        pool_.heard(id, status, clock_.now(), clock_.wall_now());
    }
    std::set<std::string> chosen() {
        std::set<std::string> ids;
        for (const auto& worker : pool_.choose("192.0.2.1", 5, clock_.now())) ids.insert(worker.id);
        return ids;
    }

    ManualClock clock_;
    WorkerPool pool_{seconds(2)};
};

TEST_F(WorkerPoolTest, PassesOverTheSilentUntilTheyAreHeardAgain) {
    add("a");
    add("b");
    clock_.advance(seconds(2));
    heard("b", {});
    EXPECT_EQ(chosen(), (std::set<std::string>{"a", "b"}));
    clock_.advance(milliseconds(1));
    EXPECT_EQ(chosen(), std::set<std::string>{"b"});
    EXPECT_EQ(pool_.living(clock_.now()).size(), 1u);
    heard("a", {});
    EXPECT_EQ(chosen(), (std::set<std::string>{"a", "b"}));
}

TEST_F(WorkerPoolTest, SendsNobodyToTheDraining) {
    add("a");
    add("b");
    heard("a", {0, 0, true});
    EXPECT_EQ(chosen(), std::set<std::string>{"b"});
    EXPECT_EQ(pool_.living(clock_.now()).size(), 2u);
    pool_.remove("b");
    EXPECT_TRUE(chosen().empty());
}

TEST_F(WorkerPoolTest, PutsTheFullLast) {
    for (const char* id : {"a", "b", "c"}) add(id, 10);
    const std::string first = pool_.choose("192.0.2.1", 0, clock_.now()).at(0).id;
    heard(first, {10, 0, false});
    const auto list = pool_.choose("192.0.2.1", 5, clock_.now());
    ASSERT_EQ(list.size(), 3u);
    EXPECT_EQ(list.back().id, first);
    EXPECT_EQ(pool_.choose("192.0.2.1", 1, clock_.now()).size(), 2u);
}

TEST_F(WorkerPoolTest, HasABound) {
    for (std::size_t i = 0; i < kMaxWorkers; ++i) add("w" + std::to_string(i));
    EXPECT_EQ(pool_.add({"x", 0, "", "http://x", 1}, clock_.now(), clock_.wall_now()).error().code,
              ErrorCode::kLimit);
    add("w5");
    EXPECT_EQ(pool_.size(), kMaxWorkers);
}

TEST(RateLimit, AllowsABurstAndThenTheRate) {
    ManualClock clock;
    RateLimit limit(10, 5, clock.now());
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(limit.take(1, clock.now()));
    EXPECT_FALSE(limit.take(1, clock.now()));
    clock.advance(milliseconds(100));
    EXPECT_TRUE(limit.take(1, clock.now()));
    EXPECT_FALSE(limit.take(1, clock.now()));
    clock.advance(seconds(100));
    EXPECT_FALSE(limit.take(6, clock.now()));
    EXPECT_TRUE(limit.take(5, clock.now()));
}

/// Records what the hub sends.
class FakePeer final : public http::WebSocketPeer {
 public:
    void send_text(std::string text) override { sent.push_back(std::move(text)); }
    void close(std::uint16_t code, std::string_view) override {
        if (close_code == 0) close_code = code;
    }
    const std::string& remote_address() const override { return address_; }

    std::vector<std::string> sent;
    std::uint16_t close_code = 0;

 private:
    std::string address_ = "192.0.2.9";
};

class SignalingHubTest : public ::testing::Test {
 protected:
    struct Side {
        std::shared_ptr<FakePeer> peer = std::make_shared<FakePeer>();
        std::unique_ptr<http::WebSocketObserver> observer;
        void say(const std::string& text) const { observer->on_text(text); }
        void say(const signaling::Message& message) const { say(encode_message(message)); }
        std::string last() const { return peer->sent.empty() ? "" : peer->sent.back(); }
    };

    Side join() {
        Side side;
        side.observer = hub_.join(side.peer);
        return side;
    }
    Side client() {
        Side side = join();
        side.say(signaling::RegisterClient{});
        return side;
    }
    Side worker(const std::string& id) {
        Side side = join();
        ++stamp_;
        side.say(signaling::RegisterWorker{
            id, stamp_, signaling::make_worker_token(key_, id, stamp_), "http://" + id, 5});
        return side;
    }

    ManualClock clock_;
    SeededRandom random_{5};
    Bytes key_ = Bytes(32, 1);
    std::uint64_t stamp_ = 1'763'800'000;
    WorkerPool pool_{seconds(2)};
    HubLimits limits_{.max_members = 4};
    SignalingHub hub_{clock_, random_, pool_, key_, limits_};
};

TEST_F(SignalingHubTest, GivesClientsUuidsAndTheirOwnWhereFree) {
    const Side first = client();
    const auto registered = signaling::decode_message(first.last());
    ASSERT_TRUE(registered.ok());
    const std::string id = std::get<signaling::Registered>(*registered).id;
    EXPECT_TRUE(signaling::is_uuid(id));
    const Side second = join();
    second.say(signaling::RegisterClient{"123e4567-e89b-42d3-a456-426614174000"});
    EXPECT_NE(second.last().find("123e4567-e89b-42d3-a456-426614174000"), std::string::npos);
    const Side third = join();
    third.say(signaling::RegisterClient{id});
    EXPECT_EQ(third.last().find(id), std::string::npos);
    EXPECT_EQ(hub_.clients(), 3u);
}

TEST_F(SignalingHubTest, TheNewestWorkerOfAnIdWins) {
    const Side old = worker("w");
    const Side newer = worker("w");
    EXPECT_EQ(old.peer->close_code, http::kClosePolicy);
    EXPECT_NE(old.last().find("\"replaced\""), std::string::npos);
    old.observer->on_close(1000, "");
    EXPECT_EQ(pool_.size(), 1u);
    const Side asker = client();
    asker.say(signaling::Signal{"w", "", signaling::make_offer("v=0")});
    EXPECT_NE(newer.last().find("\"offer\""), std::string::npos);
    newer.observer->on_close(1000, "");
    EXPECT_EQ(pool_.size(), 0u);
}

TEST_F(SignalingHubTest, SetsTheSenderWhateverItSaysItIs) {
    const Side target = worker("w");
    const Side liar = client();
    liar.say(R"({"type":"signal","to":"w","from":"boss","data":{"type":"offer","sdp":"v=0"}})");
    EXPECT_EQ(target.last().find("boss"), std::string::npos);
    EXPECT_NE(target.last().find("\"from\""), std::string::npos);
    EXPECT_EQ(hub_.relayed(), 1u);
}

TEST_F(SignalingHubTest, ClosesWhoTalksTooMuchOrOnlyNonsense) {
    const Side chatty = client();
    for (int i = 0; i < 300; ++i) {
        chatty.say(signaling::Signal{"nobody", "", signaling::make_offer("v=0")});
    }
    EXPECT_NE(chatty.last().find("\"rate-limited\""), std::string::npos);
    EXPECT_EQ(chatty.peer->close_code, http::kClosePolicy);
    const Side heavy = client();
    for (int i = 0; i < 20; ++i) {
        heavy.say(signaling::Signal{"nobody", "", signaling::make_offer(std::string(60'000, 'x'))});
    }
    EXPECT_EQ(heavy.peer->close_code, http::kClosePolicy);
    const Side nonsense = client();
    for (int i = 0; i < 17; ++i) nonsense.say("{}");
    EXPECT_EQ(nonsense.peer->close_code, http::kClosePolicy);
}

TEST_F(SignalingHubTest, RefusesWhatIsNotThatRolesToSay) {
    const Side stranger = join();
    stranger.say(signaling::Signal{"w", "", signaling::make_offer("v=0")});
    EXPECT_NE(stranger.last().find("register first"), std::string::npos);
    const Side asker = client();
    asker.say(WorkerStatus{1, 2, false});
    EXPECT_NE(asker.last().find("only a worker"), std::string::npos);
    asker.say(signaling::RegisterClient{});
    EXPECT_NE(asker.last().find("is registered"), std::string::npos);
    asker.say(signaling::Registered{"x"});
    EXPECT_NE(asker.last().find("only a front"), std::string::npos);
}

TEST_F(SignalingHubTest, ClosesWhoDoesNotRegisterAndHasABound) {
    const Side silent = join();
    const Side asker = client();
    clock_.advance(seconds(10) + milliseconds(1));
    hub_.sweep();
    hub_.sweep();
    EXPECT_EQ(silent.peer->close_code, http::kClosePolicy);
    EXPECT_EQ(silent.peer->sent.size(), 1u);
    EXPECT_EQ(asker.peer->close_code, 0);
    const Side third = join();
    const Side fourth = join();
    const Side fifth = join();
    EXPECT_EQ(fifth.observer, nullptr);
    EXPECT_EQ(fifth.peer->close_code, http::kCloseTryAgainLater);
    silent.observer->on_close(1000, "");
    EXPECT_NE(join().observer, nullptr);
}

http::Request request_with(http::Fields headers) {
    http::Request request;
    request.headers = std::move(headers);
    return request;
}

TEST(SignalingUrl, IsBuiltFromTheRequest) {
    EXPECT_EQ(signaling_url(request_with({{"Host", "a.example:8080"}})),
              "ws://a.example:8080/signaling");
    EXPECT_EQ(signaling_url(request_with({{"Host", "[::1]"}, {"X-Forwarded-Proto", "HTTPS"}})),
              "wss://[::1]/signaling");
    for (const std::string& host : {std::string(), std::string("a/b"), std::string("a\"b"),
                                    std::string("u@a"), std::string(300, 'a')}) {
        EXPECT_FALSE(signaling_url(request_with({{"Host", host}}))) << host;
    }
}

}  // namespace
}  // namespace kollator::front
