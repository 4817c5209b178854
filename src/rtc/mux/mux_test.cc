#include <gtest/gtest.h>

#include <algorithm>

#include "rtc/mux/host_addresses.h"
#include "rtc/mux/send_queue.h"
#include "rtc/mux/udp_socket.h"

namespace kollator::rtc {
namespace {

using std::chrono::seconds;

const IcePath kFirst{IpAddress(), {*IpAddress::parse("192.0.2.1"), 1}};
const IcePath kSecond{IpAddress(), {*IpAddress::parse("192.0.2.1"), 2}};

bool push(SendQueue& queue, const IcePath& path, std::size_t size) {
    return queue.push(path, Bytes(size, 0xAB));
}

TEST(SendQueue, JoinsEqualSizesOfOnePath) {
    SendQueue queue;
    for (int i = 0; i < 3; ++i) push(queue, kFirst, 1000);
    push(queue, kFirst, 400);  // the last of a run may be shorter
    push(queue, kFirst, 1000);
    push(queue, kSecond, 1000);
    push(queue, kSecond, 1001);  // longer: a run of its own

    EXPECT_EQ(queue.run_at(0, 32).count, 4u);
    EXPECT_EQ(queue.run_at(0, 32).bytes.size(), 3400u);
    EXPECT_EQ(queue.run_at(0, 32).segment_bytes, 1000u);
    EXPECT_EQ(queue.run_at(0, 2).count, 2u);
    EXPECT_EQ(queue.run_at(4, 32).count, 1u);
    EXPECT_EQ(queue.run_at(5, 32).path, kSecond);
    EXPECT_EQ(queue.run_at(5, 32).count, 1u);
    queue.pop(6);
    EXPECT_EQ(queue.run_at(0, 32).segment_bytes, 1001u);
    queue.pop(1);
    EXPECT_TRUE(queue.empty());
}

TEST(SendQueue, KeepsRunsWithinADatagramsSize) {
    SendQueue queue;
    for (int i = 0; i < 64; ++i) push(queue, kFirst, 1197);
    EXPECT_LE(queue.run_at(0, 64).bytes.size(), SendQueue::kMaxRunBytes);
}

TEST(SendQueue, RefusesWhatDoesNotFit) {
    SendQueue queue;
    std::size_t taken = 0;
    while (push(queue, kFirst, 1000)) ++taken;
    EXPECT_EQ(taken, SendQueue::kMaxBytes / 1000);
    // Room comes back though the queue never was empty.
    queue.pop(taken / 2);
    EXPECT_TRUE(push(queue, kSecond, 1000));
    EXPECT_EQ(queue.size(), taken - taken / 2 + 1);
    queue.pop(queue.size() - 1);
    EXPECT_EQ(queue.run_at(0, 1).path, kSecond);

    EXPECT_FALSE(push(queue, kFirst, 0));
    EXPECT_FALSE(push(queue, kFirst, SendQueue::kMaxRunBytes + 1));
}

/// Two sockets on loopback and what the second one received.
class UdpSocketTest : public ::testing::TestWithParam<const char*> {
 protected:
    void open(const char* address) {
        const IpAddress ip = *IpAddress::parse(address);
        auto first = UdpSocket::open(loop_, {ip, 0});
        auto second = UdpSocket::open(loop_, {ip, 0});
        ASSERT_TRUE(first.ok() && second.ok());
        first_ = std::move(*first);
        second_ = std::move(*second);
        first_->start([](const IcePath&, ByteSpan) {}, [] {});
        second_->start(
            [this](const IcePath& path, ByteSpan data) {
                received_.emplace_back(data.begin(), data.end());
                last_path_ = path;
            },
            [this] { ++batches_; });
    }
    IcePath to_second(const char* address) const {
        return {IpAddress(), {*IpAddress::parse(address), second_->local_address().port}};
    }
    bool wait_for(std::size_t datagrams) {
        return loop_.run_until([&] { return received_.size() >= datagrams; }, seconds(30));
    }
    static Bytes numbered(std::size_t number, std::size_t size) {
        Bytes bytes(size, static_cast<std::uint8_t>(number));
        store_u32(bytes.data(), static_cast<std::uint32_t>(number));
        return bytes;
    }
    void send_and_compare(const std::vector<std::size_t>& sizes) {
        for (std::size_t i = 0; i < sizes.size(); ++i) {
            first_->send(to_second("127.0.0.1"), numbered(i, sizes[i]));
        }
        first_->flush();
        ASSERT_TRUE(wait_for(sizes.size()));
        for (std::size_t i = 0; i < sizes.size(); ++i) {
            EXPECT_EQ(received_[i], numbered(i, sizes[i])) << i;
        }
    }

    EventLoop loop_;
    std::unique_ptr<UdpSocket> first_;
    std::unique_ptr<UdpSocket> second_;
    std::vector<Bytes> received_;
    IcePath last_path_;
    int batches_ = 0;
};

std::vector<std::size_t> mixed_sizes() {
    std::vector<std::size_t> sizes(60, 1197);
    sizes[20] = 500;
    sizes[40] = 1200;
    sizes.push_back(4);
    return sizes;
}

TEST_F(UdpSocketTest, KeepsDatagramsApartWithFewCalls) {
    open("127.0.0.1");
    send_and_compare(mixed_sizes());
    EXPECT_LE(first_->stats().send_calls, 3u);
    EXPECT_EQ(first_->stats().datagrams_sent, 61u);
    EXPECT_EQ(second_->stats().datagrams_received, 61u);
    EXPECT_EQ(first_->stats().bytes_sent, second_->stats().bytes_received);
    EXPECT_GE(batches_, 1);
}

TEST_F(UdpSocketTest, KeepsDatagramsApartWithoutSegmentation) {
    open("127.0.0.1");
    first_->disable_segmentation_offload();
    send_and_compare(mixed_sizes());
    EXPECT_LE(first_->stats().send_calls, 3u);  // sendmmsg, still
}

TEST_F(UdpSocketTest, TellsAndUsesTheLocalAddress) {
    open("0.0.0.0");
    IcePath path = to_second("127.0.0.1");
    path.local = *IpAddress::parse("127.0.0.5");  // all of 127/8 is ours
    first_->send(path, numbered(1, 100));
    first_->flush();
    ASSERT_TRUE(wait_for(1));
    EXPECT_EQ(last_path_.remote.ip, *IpAddress::parse("127.0.0.5"));
    EXPECT_EQ(last_path_.local, *IpAddress::parse("127.0.0.1"));
}

TEST_F(UdpSocketTest, SpeaksV4OnADualStackSocket) {
    if (!UdpSocket::open(loop_, {*IpAddress::parse("::"), 0}).ok()) GTEST_SKIP() << "no IPv6";
    open("::");
    EXPECT_TRUE(first_->dual_stack());
    IcePath path = to_second("127.0.0.1");
    path.local = *IpAddress::parse("127.0.0.6");
    for (std::size_t i = 0; i < 3; ++i) first_->send(path, numbered(i, 1197));
    first_->flush();
    ASSERT_TRUE(wait_for(3));
    EXPECT_EQ(last_path_.remote.ip, *IpAddress::parse("127.0.0.6"));
    EXPECT_EQ(last_path_.local, *IpAddress::parse("127.0.0.1"));
}

TEST_F(UdpSocketTest, DropsWhatTheKernelRefusesAndGoesOn) {
    open("127.0.0.1");
    // A v6 address on a v4 socket, and a source that is not ours.
    first_->send({IpAddress(), {*IpAddress::parse("2001:db8::1"), 9}}, numbered(0, 10));
    first_->send({*IpAddress::parse("192.0.2.99"), {*IpAddress::parse("127.0.0.1"), 9}},
                 numbered(0, 10));
    first_->send(to_second("127.0.0.1"), numbered(7, 10));
    first_->flush();
    ASSERT_TRUE(wait_for(1));
    EXPECT_EQ(received_[0], numbered(7, 10));
    EXPECT_EQ(first_->stats().dropped_refused, 2u);
}

TEST_F(UdpSocketTest, KeepsOthersSegmentsWhereOnesAreRefused) {
    open("127.0.0.1");
    if (!first_->segmentation_offload()) GTEST_SKIP() << "the kernel does not know UDP_SEGMENT";
    const IcePath foreign{*IpAddress::parse("192.0.2.99"), {*IpAddress::parse("127.0.0.1"), 9}};
    for (std::size_t i = 0; i < 5; ++i) first_->send(foreign, numbered(i, 1000));
    send_and_compare(mixed_sizes());
    EXPECT_EQ(first_->stats().dropped_refused, 5u);
    EXPECT_TRUE(first_->segmentation_offload());
    // Five that were refused one by one, and that it was so together.
    EXPECT_LE(first_->stats().send_calls, 10u);
}

TEST_F(UdpSocketTest, ReadsABusySocketSeldomerAndMissesNothing) {
    open("127.0.0.1");
    constexpr std::size_t kDatagrams = 20'000;
    std::size_t sent = 0;
    // One for each turn of the loop: so many wake-ups as datagrams, where nothing is done about it.
    std::function<void()> send_one = [&] {
        first_->send(to_second("127.0.0.1"), numbered(sent++, 100));
        first_->flush();
        if (sent < kDatagrams) loop_.post([&] { send_one(); });
    };
    send_one();
    ASSERT_TRUE(wait_for(kDatagrams));
    EXPECT_GT(second_->stats().pauses, 10u);
    EXPECT_LT(second_->stats().receive_calls, kDatagrams / 4);
    for (std::size_t i = 0; i < kDatagrams; ++i) ASSERT_EQ(load_u32(received_[i].data()), i);

    // It is woken again when there is little.
    const std::uint64_t pauses = second_->stats().pauses;
    for (std::size_t i = 1; i <= 10; ++i) {
        first_->send(to_second("127.0.0.1"), numbered(i, 100));
        first_->flush();
        ASSERT_TRUE(wait_for(kDatagrams + i));
    }
    EXPECT_LE(second_->stats().pauses, pauses + 10);
}

TEST_F(UdpSocketTest, TellsThatAPortIsTaken) {
    open("127.0.0.1");
    const auto again = UdpSocket::open(loop_, first_->local_address());
    ASSERT_FALSE(again.ok());
    EXPECT_EQ(again.error().code, ErrorCode::kUnavailable);
    const auto foreign = UdpSocket::open(loop_, {*IpAddress::parse("192.0.2.99"), 0});
    ASSERT_FALSE(foreign.ok());
    EXPECT_EQ(foreign.error().code, ErrorCode::kUnavailable);
}

class HostAddresses : public ::testing::Test {
 protected:
    std::vector<std::string> choose(const char* bound, bool dual_stack,
                                    std::vector<const char*> announce = {},
                                    bool include_loopback = false) {
        HostAddressOptions options;
        options.bound = *IpAddress::parse(bound);
        options.dual_stack = dual_stack;
        for (const char* text : announce) options.announce.push_back(*IpAddress::parse(text));
        options.include_loopback = include_loopback;
        std::vector<std::string> texts;
        for (const IpAddress& each : choose_host_addresses(options, machine_)) {
            texts.push_back(each.text());
        }
        return texts;
    }

    using Texts = std::vector<std::string>;
    std::vector<IpAddress> machine_ = {
        *IpAddress::parse("127.0.0.1"), *IpAddress::parse("192.0.2.5"), *IpAddress::parse("::1"),
        *IpAddress::parse("2001:db8::5"), *IpAddress::parse("fe80::5")};
};

TEST_F(HostAddresses, AreThoseThatCanBeReached) {
    EXPECT_EQ(choose("0.0.0.0", false), Texts({"192.0.2.5"}));
    EXPECT_EQ(choose("::", true), Texts({"192.0.2.5", "2001:db8::5"}));
    EXPECT_EQ(choose("192.0.2.5", false), Texts({"192.0.2.5"}));
    EXPECT_EQ(choose("127.0.0.1", false), Texts({"127.0.0.1"}));
}

TEST_F(HostAddresses, IncludeLoopbackWhereWantedOrAlone) {
    EXPECT_EQ(choose("0.0.0.0", false, {}, true), Texts({"192.0.2.5", "127.0.0.1"}));
    EXPECT_EQ(choose("192.0.2.5", false, {}, true), Texts({"192.0.2.5"}));
    machine_ = {*IpAddress::parse("127.0.0.1")};
    EXPECT_EQ(choose("0.0.0.0", false), Texts({"127.0.0.1"}));
}

TEST_F(HostAddresses, AreReplacedByAnnouncedOnes) {
    EXPECT_EQ(choose("0.0.0.0", false, {"203.0.113.1"}), Texts({"203.0.113.1"}));
    EXPECT_EQ(choose("0.0.0.0", false, {"203.0.113.1"}, true), Texts({"203.0.113.1", "127.0.0.1"}));
}

TEST(MachineAddresses, HoldLoopback) {
    const std::vector<IpAddress> addresses = machine_addresses();
    EXPECT_NE(std::find(addresses.begin(), addresses.end(), *IpAddress::parse("127.0.0.1")),
              addresses.end());
}

}  // namespace
}  // namespace kollator::rtc
