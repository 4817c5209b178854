// The socket over IPv6: its options and control messages are others than IPv4's.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "loop/event_loop.h"
#include "rtc/mux/udp_socket.h"
#include "rtc/testing/own_network.h"

namespace kollator::rtc {
namespace {

using std::chrono::seconds;

const IpAddress kLoopback = *IpAddress::parse("::1");
const IpAddress kSecond = *IpAddress::parse("fd00::5");

class UdpSocketV6Test : public ::testing::Test {
 protected:
    bool open(const IpAddress& ip) {
        auto first = UdpSocket::open(loop_, {ip, 0});
        auto second = UdpSocket::open(loop_, {ip, 0});
        if (!first.ok() || !second.ok()) return false;
        first_ = std::move(*first);
        second_ = std::move(*second);
        first_->start([](const IcePath&, ByteSpan) {}, [] {});
        second_->start(
            [this](const IcePath& path, ByteSpan data) {
                received_.emplace_back(data.begin(), data.end());
                last_path_ = path;
            },
            [] {});
        return true;
    }
    /// A batch of mixed sizes, and then what came of it.
    void send_and_compare(const IcePath& path) {
        constexpr std::size_t kDatagrams = 60;
        const auto datagram = [](std::size_t i) {
            return Bytes(i % 20 == 19 ? 500 : 1197, static_cast<std::uint8_t>(i));
        };
        for (std::size_t i = 0; i < kDatagrams; ++i) first_->send(path, datagram(i));
        first_->flush();
        ASSERT_TRUE(loop_.run_until([&] { return received_.size() >= kDatagrams; }, seconds(30)));
        for (std::size_t i = 0; i < kDatagrams; ++i) EXPECT_EQ(received_[i], datagram(i)) << i;
        EXPECT_EQ(first_->stats().dropped_refused, 0u);
    }
    IcePath to_second(const IpAddress& from, const IpAddress& to) const {
        return {from, {to, second_->local_address().port}};
    }

    EventLoop loop_;
    std::unique_ptr<UdpSocket> first_;
    std::unique_ptr<UdpSocket> second_;
    std::vector<Bytes> received_;
    IcePath last_path_;
};

TEST_F(UdpSocketV6Test, KeepsDatagramsApartWithFewCalls) {
    if (!open(kLoopback)) GTEST_SKIP() << "no IPv6";
    send_and_compare(to_second(IpAddress(), kLoopback));
    if (!first_->segmentation_offload()) GTEST_SKIP() << "the kernel does not know UDP_SEGMENT";
    EXPECT_LE(first_->stats().send_calls, 3u);
    // By GRO runs arrive together: fewer reads than datagrams.
    EXPECT_LE(second_->stats().receive_calls, 10u);
    EXPECT_EQ(last_path_.local, kLoopback);
}

TEST_F(UdpSocketV6Test, TellsAndUsesTheLocalAddress) {
    const bool ran = run_in_own_network(kSecond, [this] {
        ASSERT_TRUE(open(*IpAddress::parse("::")));
        EXPECT_TRUE(first_->dual_stack());
        // The kernel would choose ::1 for what goes to ::1, and fd00::5 for fd00::5.
        send_and_compare(to_second(kSecond, kLoopback));
        EXPECT_EQ(last_path_.remote.ip, kSecond);
        EXPECT_EQ(last_path_.local, kLoopback);
        received_.clear();
        send_and_compare(to_second(kLoopback, kSecond));
        EXPECT_EQ(last_path_.remote.ip, kLoopback);
        EXPECT_EQ(last_path_.local, kSecond);
        // They go with the namespace's thread.
        first_.reset();
        second_.reset();
    });
    if (!ran) GTEST_SKIP() << "no network namespace of our own, or no IPv6";
}

}  // namespace
}  // namespace kollator::rtc
