// Nodes of the DHT, libtorrent underneath: what the swarm of dht_swarm.test.mjs does not show. Some
// of it depends on the nodes' addresses: those tests run in a network of their own, where addresses
// of the internet are on the loopback interface.

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>
#include <vector>

#include "base/file_system.h"
#include "crypto/hash.h"
#include "crypto/system_random.h"
#include "dht/dht.h"
#include "loop/event_loop.h"
#include "loop/job_pool.h"
#include "tests/support/child_process.h"
#include "tests/support/loop_thread.h"
#include "tests/support/public_network.h"
#include "tests/support/raw_dht_node.h"
#include "tests/support/temp_folder.h"

namespace kollator::dht {
namespace {

using namespace std::chrono_literals;
using kollator::testing::LoopThread;
using kollator::testing::RawDhtNode;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::chrono::seconds kPatience{30};
constexpr std::uint16_t kAnnounced = 8081;
const std::string kLoopback = "127.0.0.1";

InfoHash key_of(unsigned number) {
    return InfoHash(crypto::sha1(as_bytes("key " + std::to_string(number))));
}

Endpoint at(const std::string& address, std::uint16_t port = kAnnounced) {
    return *Endpoint::from_text(address, port);
}

std::string public_v4(unsigned number) {
    return "45." + std::to_string(number) + ".0.1";
}

std::string public_v6(unsigned number) {
    return "2a00:" + std::to_string(number) + "::1";
}

using Swarm = std::vector<std::unique_ptr<Dht>>;

class DhtNodeTest : public ::testing::Test {
 protected:
    /// Once, before there are threads.
    static bool in_public_network() {
        static const bool entered = kollator::testing::enter_public_network();
        return entered;
    }
    static void SetUpTestSuite() { (void)in_public_network(); }

    struct With {
        std::vector<std::string> addresses{kLoopback};
        std::vector<std::string> bootstrap{};
        bool read_only = false;
        Duration lost_after = 5min;
        Duration join_after = 30s;
    };

    std::unique_ptr<Dht> open(const With& with) {
        DhtOptions options;
        options.node.addresses = with.addresses;
        options.node.allow_private = with.addresses.front() == kLoopback;
        options.node.read_only = with.read_only;
        options.node.bootstrap = with.bootstrap;
        options.announce_port = kAnnounced;
        options.state_path = "/nonexistent/dht.state";
        // In a public network an address gets four queries a second, these among them.
        options.health.ping_interval = options.node.allow_private ? 100ms : 2s;
        options.health.lost_after = with.lost_after;
        options.health.join_after = with.join_after;
        options.refresh = 100ms;
        return std::make_unique<Dht>(loop_, jobs_, posix_file_system(), crypto::system_random(),
                                     options);
    }
    bool until(const std::function<bool()>& done) { return loop_.run_until(done, kPatience); }

    void wait_for_tables(Dht& node, std::size_t count) {
        EXPECT_TRUE(until([&] { return node.report().tables.size() == count; }))
            << node.report().listen_error;
    }
    void wait_for_contacts(Dht& node, std::size_t count) {
        EXPECT_TRUE(until([&] { return node.report().health.contacts >= count; }))
            << node.report().health.contacts;
    }
    static Contact contact_of(Dht& node, const std::string& address) {
        const bool v6 = at(address).v6;
        for (const TableReport& table : node.report().tables) {
            if (table.v6 == v6) return {table.id, at(address, table.port)};
        }
        ADD_FAILURE() << "it has no table for " << address;
        return {};
    }

    /// One node at each address, each introduced to all; `contacts` of them are waited for.
    Swarm swarm(RawDhtNode& introducer, const std::vector<std::string>& addresses,
                std::size_t contacts) {
        Swarm nodes;
        introducer.mood = RawDhtNode::Mood::kHolds;
        for (const std::string& address : addresses) {
            nodes.push_back(open({.addresses = {address}, .bootstrap = {introducer.entry()}}));
        }
        for (std::size_t i = 0; i < nodes.size(); ++i) {
            wait_for_tables(*nodes[i], 1);
            introducer.contacts.push_back(contact_of(*nodes[i], addresses[i]));
        }
        introducer.release();
        for (const auto& node : nodes) wait_for_contacts(*node, contacts);
        return nodes;
    }
    Swarm loopback_swarm(RawDhtNode& introducer, std::size_t count) {
        return swarm(introducer, std::vector<std::string>(count, kLoopback), count - 1);
    }

    /// In each of its families.
    void announce(Dht& node, const InfoHash& key) {
        const auto announced = [](const AnnouncerStats& stats, std::uint64_t before) {
            return stats.keys == 0 || stats.announced > before;
        };
        const DhtReport before = node.report();
        EXPECT_TRUE(until([&] {
            node.announce(key, When::kUrgent);  // a run that failed would begin again in 30 s
            const DhtReport now = node.report();
            return announced(now.announcer_v4, before.announcer_v4.announced) &&
                   announced(now.announcer_v6, before.announcer_v6.announced);
        }));
    }
    std::vector<Endpoint> find(Dht& node, const InfoHash& key) {
        std::optional<std::vector<Endpoint>> found;
        node.find(key, key, [&](const Result<std::vector<Endpoint>>& peers) {
            found = peers ? *peers : std::vector<Endpoint>();
        });
        EXPECT_TRUE(until([&] { return found.has_value(); }));
        return found.value_or(std::vector<Endpoint>());
    }

    /// Again until there are some: a node asks over IPv6 once it has learnt its own address.
    std::vector<Endpoint> find_some(Dht& node, const InfoHash& key) {
        std::vector<Endpoint> found = find(node, key);
        const TimePoint deadline = loop_.now() + kPatience;
        while (found.empty() && loop_.now() < deadline) found = find(node, key);
        return found;
    }

    EventLoop loop_;
    JobPool jobs_{1};
};

TEST_F(DhtNodeTest, ALostNetworkIsToldAndEnteredAnew) {
    RawDhtNode introducer(loop_, kLoopback);
    Swarm others = loopback_swarm(introducer, 3);
    const auto node = open({.bootstrap = {introducer.entry()}, .lost_after = 2s});
    wait_for_contacts(*node, 3);
    EXPECT_FALSE(node->report().health.lost);

    introducer.mood = RawDhtNode::Mood::kSilent;
    others.clear();
    EXPECT_TRUE(until([&] { return node->report().rejoins > 0; }));
    EXPECT_TRUE(node->report().health.lost);
    const auto asked = introducer.queries.size();
    EXPECT_TRUE(until([&] { return introducer.queries.size() > asked; })) << "it bootstraps again";

    introducer.contacts.clear();
    others = loopback_swarm(introducer, 3);
    EXPECT_TRUE(until([&] {
        const NodeHealthReport health = node->report().health;
        return health.good >= 3 && !health.lost;
    }));
    announce(*node, key_of(1));
    EXPECT_THAT(find(*others[0], key_of(1)), SizeIs(1));
}

TEST_F(DhtNodeTest, ANodeThatBeganBeforeItsBootstrapNodesJoinsSoonAfterThem) {
    RawDhtNode introducer(loop_, kLoopback);
    const Swarm others = loopback_swarm(introducer, 2);
    introducer.mood = RawDhtNode::Mood::kSilent;
    const auto node = open({.bootstrap = {introducer.entry()}, .join_after = 1s});
    EXPECT_TRUE(until([&] { return node->report().rejoins > 0; }));
    introducer.mood = RawDhtNode::Mood::kAnswers;
    wait_for_contacts(*node, 2);
}

TEST_F(DhtNodeTest, AReadOnlyNodeSaysSoAnswersNobodyAndIsInNobodysTable) {
    RawDhtNode introducer(loop_, kLoopback);
    RawDhtNode raw(loop_, kLoopback);
    const Swarm others = loopback_swarm(introducer, 3);
    announce(*others[0], key_of(1));
    introducer.contacts.push_back(raw.contact());
    const auto hidden = open({.bootstrap = {introducer.entry()}, .read_only = true});
    wait_for_contacts(*hidden, 4);
    EXPECT_THAT(find(*hidden, key_of(1)), SizeIs(1));

    const Endpoint asked = contact_of(*hidden, kLoopback).at;
    const Endpoint other = contact_of(*others[0], kLoopback).at;
    raw.ping(asked);
    raw.ping(other);
    EXPECT_TRUE(until([&] { return !raw.answers.empty(); }));
    // What it sends after the ping is sent without having answered it.
    raw.queries.clear();
    EXPECT_TRUE(until([&] {
        return std::any_of(raw.queries.begin(), raw.queries.end(),
                           [&](const auto& query) { return query.from == asked; });
    }));
    EXPECT_THAT(raw.answers, ElementsAre(other));

    // One that begins later is in all tables by its queries alone.
    const auto plain = open({.bootstrap = {introducer.entry()}});
    for (const auto& node : others) {
        wait_for_contacts(*node, 3);
        EXPECT_EQ(node->report().health.contacts, 3U) << "the two others and the later one";
    }
    std::size_t read_only = 0;
    for (const RawDhtNode* each : {&introducer, &raw}) {
        for (const auto& query : each->queries) {
            EXPECT_EQ(query.read_only, query.from == asked) << query.query;
            read_only += query.read_only ? 1 : 0;
        }
    }
    EXPECT_GE(read_only, 2U);
}

TEST_F(DhtNodeTest, ThePingsOfOthersAreAnsweredWhileItAnnouncesAsFastAsItMay) {
    constexpr std::size_t kPings = 100;
    RawDhtNode introducer(loop_, kLoopback);
    const Swarm nodes = loopback_swarm(introducer, 10);
    Dht& busy = *nodes.back();
    const Endpoint target = contact_of(busy, kLoopback).at;
    LoopThread beside;  // its waits are the node's, not this loop's
    std::unique_ptr<RawDhtNode> pinger;
    beside.run([&] { pinger = std::make_unique<RawDhtNode>(beside.loop(), kLoopback); });

    for (unsigned i = 0; i < 20'000; ++i) busy.announce(key_of(i), When::kSoon);
    const std::uint64_t before = busy.report().queries.sent;
    const TimePoint began = loop_.now();
    for (std::size_t i = 1; i <= kPings; ++i) {
        beside.run([&] { pinger->ping(target); });
        (void)loop_.run_until([&] { return loop_.now() >= began + i * 20ms; }, 1s);
    }
    const std::chrono::duration<double> took = loop_.now() - began;
    const double rate = static_cast<double>(busy.report().queries.sent - before) / took.count();
    std::size_t answered = 0;
    EXPECT_TRUE(until([&] {
        beside.run([&] { answered = pinger->answers.size(); });
        return answered == kPings;
    })) << answered;
    EXPECT_GT(rate, 500) << "it was busy meanwhile";
    beside.run([&] { pinger.reset(); });
}

// --- by address ----------------------------------------------------------------------------------

class DhtPublicNetworkTest : public DhtNodeTest {
 protected:
    void SetUp() override {
        if (!in_public_network()) GTEST_SKIP() << "no network of its own is to be had here";
    }
    static std::vector<std::string> addresses(std::string (*address)(unsigned), unsigned count) {
        std::vector<std::string> out;
        for (unsigned i = 2; i < 2 + count; ++i) out.push_back(address(i));
        return out;
    }
};

// BEP 32: the two families are two networks, and a node of both is found in each.
TEST_F(DhtPublicNetworkTest, WhatIsAnnouncedOverIPv6IsFoundThereAndTheReverse) {
    RawDhtNode introducer4(loop_, public_v4(1));
    RawDhtNode introducer6(loop_, public_v6(1));
    const Swarm nodes4 = swarm(introducer4, addresses(public_v4, 4), 1);
    const Swarm nodes6 = swarm(introducer6, addresses(public_v6, 4), 1);
    // Its id changes, and with it its table, when it has learnt its own address (BEP 42).
    const auto both = open({.addresses = {public_v4(9), public_v6(9)},
                            .bootstrap = {introducer4.entry(), introducer6.entry()}});

    announce(*both, key_of(1));
    EXPECT_THAT(find_some(*nodes6[0], key_of(1)), ElementsAre(at(public_v6(9))));
    EXPECT_THAT(find_some(*nodes4[0], key_of(1)), ElementsAre(at(public_v4(9))));
    announce(*nodes6[1], key_of(2));
    EXPECT_THAT(find_some(*both, key_of(2)), ElementsAre(at(public_v6(3))));
    EXPECT_THAT(find(*nodes4[0], key_of(2)), IsEmpty());
    EXPECT_EQ(nodes6[1]->report().announcer_v4.keys, 0U);
}

std::uint32_t crc32c(ByteSpan bytes) {
    std::uint32_t crc = 0xFFFFFFFF;
    for (const std::uint8_t byte : bytes) {
        crc ^= byte;
        for (int i = 0; i < 8; ++i) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78U : 0U);
    }
    return ~crc;
}

/// BEP 42: the first 21 bits of an id are those of the checksum of its node's masked IPv4 address,
/// with three bits of the id's last byte.
bool is_bound(const NodeId& id, const Endpoint& address) {
    constexpr std::uint32_t kMask = 0x030F3FFF;
    const std::uint32_t random = id.bytes()[19] & 7U;
    std::array<std::uint8_t, 4> masked{};
    store_u32(masked.data(), (load_u32(address.address.data()) & kMask) | (random << 29));
    return ((crc32c(masked) ^ load_u32(id.bytes().data())) & 0xFFFFF800) == 0;
}

TEST_F(DhtPublicNetworkTest, ANodesIdIsBoundToTheAddressThatOthersSeeItAt) {
    // The vector of BEP 42.
    const auto vector = NodeId::from_hex("5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401");
    ASSERT_TRUE(is_bound(*vector, at("124.31.75.21")));
    ASSERT_FALSE(is_bound(*vector, at("124.31.75.22")));

    RawDhtNode introducer(loop_, public_v4(1));
    const Swarm nodes = swarm(introducer, addresses(public_v4, 5), 1);
    for (unsigned i = 0; i < nodes.size(); ++i) {
        const std::string address = public_v4(2 + i);
        EXPECT_TRUE(until([&] { return is_bound(contact_of(*nodes[i], address).id, at(address)); }))
            << address;
        EXPECT_THAT(nodes[i]->report().tables, SizeIs(1)) << "the one with the new id";
    }
}

/// What hostile nodes answer besides contacts: ten that are no peers, and 120 that are.
std::vector<std::string> hostile_values(char node) {
    std::vector<std::string> values = {std::string("\0\0\0\0\x1f\x90", 6),    // 0.0.0.0:8080
                                       std::string("\x7f\0\0\1\x1f\x90", 6),  // 127.0.0.1:8080
                                       std::string("\x0a\0\0\1\x1f\x90", 6),  // 10.0.0.1:8080
                                       std::string("\xe0\0\0\1\x1f\x90", 6),  // 224.0.0.1:8080
                                       std::string("\x2d\7\0\1\0\0", 6),      // no port
                                       std::string("nonsense"),
                                       std::string()};
    for (char i = 0; i < 120; ++i) {
        values.push_back(std::string("\x2d", 1) + static_cast<char>(40 + node) +
                         std::string("\0", 1) + i + "\x1f\x90");
    }
    return values;
}

TEST_F(DhtPublicNetworkTest, HostileAnswersAreCutAndNeitherGivenOutNorDialled) {
    RawDhtNode introducer(loop_, public_v4(1));
    RawDhtNode loopback(loop_, kLoopback);
    RawDhtNode intranet(loop_, "10.0.0.1");
    std::vector<std::unique_ptr<RawDhtNode>> hostile;
    for (unsigned i = 0; i < 3; ++i) {
        hostile.push_back(std::make_unique<RawDhtNode>(loop_, public_v4(20 + i)));
        hostile.back()->contacts = {loopback.contact(), intranet.contact()};
        hostile.back()->values = hostile_values(static_cast<char>(i));
        introducer.contacts.push_back(hostile.back()->contact());
    }
    const Swarm honest = swarm(introducer, addresses(public_v4, 4), 3);
    Dht& node = *honest[0];
    wait_for_contacts(node, 6);

    std::size_t most = 0;
    for (unsigned i = 0; i < 12; ++i) {
        for (const Endpoint& peer : find(node, key_of(i))) {
            EXPECT_EQ(peer.address[0], 45) << peer.text();
        }
        most = std::max(most, find(node, key_of(i)).size());
    }
    EXPECT_GE(most, 100U) << "they were asked";
    EXPECT_LE(most, 256U);
    announce(node, key_of(1));
    // libtorrent's own searches, which are for its own id, would ask them.
    EXPECT_TRUE(until([&] { return node.report().refused_sends > 0; }));
    EXPECT_THAT(loopback.queries, IsEmpty());
    EXPECT_THAT(intranet.queries, IsEmpty());
}

TEST_F(DhtPublicNetworkTest, NorAreThoseOfHostileNodesOverIPv6) {
    RawDhtNode introducer(loop_, public_v6(1));
    RawDhtNode loopback(loop_, "::1");
    RawDhtNode hostile(loop_, public_v6(7));
    hostile.contacts = {loopback.contact()};
    introducer.contacts.push_back(hostile.contact());
    const Swarm honest = swarm(introducer, addresses(public_v6, 3), 1);
    EXPECT_TRUE(until([&] { return honest[0]->report().refused_sends > 0; }));
    EXPECT_THAT(loopback.queries, IsEmpty());
}

// --- a worker ------------------------------------------------------------------------------------

class DhtWorkerTest : public DhtPublicNetworkTest {
 protected:
    void SetUp() override {
        DhtPublicNetworkTest::SetUp();
        ASSERT_NE(program_, nullptr) << "KOLLATOR_BIN names the program; ctest sets it";
    }
    auto start(const std::string& host, const std::string& bootstrap, bool allow_private) {
        return kollator::testing::ChildProcess::start(
            {.command = {program_, "worker"},
             .environment = {{"HOST", host},
                             {"PORT", "0"},
                             {"DATA_DIR", folder_.path().string()},
                             {"DHT_PORT", "0"},
                             {"DHT_BOOTSTRAP_NODES", bootstrap},
                             {"DHT_ALLOW_PRIVATE", allow_private ? "true" : "false"},
                             {"LOG_LEVEL", "off"}}});
    }

    const char* const program_ = std::getenv("KOLLATOR_BIN");
    const kollator::testing_support::TempFolder folder_;
};

// From loopback its queries would reach nobody else.
TEST_F(DhtWorkerTest, InAPrivateNetworkItAsksFromAnAddressOfThatNetwork) {
    RawDhtNode introducer(loop_, "10.0.0.7");
    RawDhtNode other(loop_, "10.0.0.8");
    introducer.contacts = {other.contact()};
    const auto worker = start("0.0.0.0", introducer.entry(), true);
    ASSERT_TRUE(worker);
    EXPECT_TRUE(until([&] {
        return std::any_of(other.queries.begin(), other.queries.end(),
                           [](const auto& query) { return query.query == "announce_peer"; });
    }));
    for (const RawDhtNode* node : {&introducer, &other}) {
        for (const auto& query : node->queries) {
            EXPECT_NE(query.from.address[0], 127) << query.query;
        }
    }
}

// What the nodes above show, of the program as it is linked.
TEST_F(DhtWorkerTest, InAPublicNetworkItSendsNothingToPrivateAddresses) {
    RawDhtNode introducer(loop_, public_v4(1));
    RawDhtNode hostile(loop_, public_v4(2));
    RawDhtNode intranet(loop_, "10.0.0.8");
    hostile.contacts = {intranet.contact()};
    introducer.contacts = {hostile.contact(), intranet.contact()};
    const auto worker = start(public_v4(3), introducer.entry(), false);
    ASSERT_TRUE(worker);
    EXPECT_TRUE(until([&] { return hostile.queries.size() >= 5; }));
    EXPECT_THAT(intranet.queries, IsEmpty());
}

}  // namespace
}  // namespace kollator::dht
