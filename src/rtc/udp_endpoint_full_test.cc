// What an endpoint does while the kernel takes no datagrams.
#include "rtc/mux/udp_socket.h"
#include "rtc/testing/endpoint_pair.h"
#include "rtc/udp_endpoint.h"

namespace kollator::rtc {
namespace {

class FullSocketTest : public EndpointPairTest {
 protected:
    void open_with_socket() {
        client_ = open(client_certificate_, client_options_);
        auto socket = *UdpSocket::open(loop_, {*IpAddress::parse("127.0.0.1"), 0});
        socket_ = socket.get();
        HostAddressOptions loopback;
        loopback.bound = socket->local_address().ip;
        HostCandidates candidates(loopback, socket->local_address().port, machine_addresses);
        worker_ = std::make_unique<UdpEndpoint>(loop_, system_clock(), crypto::system_random(),
                                                worker_certificate_, worker_options_,
                                                std::move(socket), std::move(candidates));
    }

    UdpSocket* socket_ = nullptr;
};

TEST_F(FullSocketTest, WaitsForRoomAndDropsNothing) {
    worker_options_.send_buffer_bytes = 1024 * 1024;
    open_with_socket();
    connect();
    ASSERT_TRUE(wait_for([&] { return worker_heard_.channel != nullptr; }));
    const std::string block(64 * 1024, 'x');
    std::size_t sent = 0;
    const auto fill = [&] {
        while (worker_heard_.channel->send({}, as_bytes(block)).ok()) ++sent;
    };
    // Until the window is wide open.
    ASSERT_TRUE(wait_for([&] {
        if (sent < 300) fill();
        return client_heard_.messages.size() >= 300;
    }));
    ASSERT_TRUE(wait_for([&] { return client_heard_.messages.size() == sent; }));

    socket_->pretend_full(true);
    fill();
    ASSERT_TRUE(wait_for([&] { return socket_->blocked(); }));
    std::size_t most_queued = 0;
    loop_.run_until(
        [&] {
            fill();
            most_queued = std::max(most_queued, socket_->queued_bytes());
            return false;
        },
        std::chrono::milliseconds(300));
    // Two turns' packets at most, and some that the connection itself needs.
    EXPECT_LE(most_queued, 2 * 64 * 1200 + 4096U);
    EXPECT_GT(worker_heard_.channel->buffered_bytes(), 2 * most_queued);
    EXPECT_LT(client_heard_.messages.size(), sent);

    socket_->pretend_full(false);
    EXPECT_TRUE(wait_for([&] { return client_heard_.messages.size() == sent; }));
    EXPECT_FALSE(socket_->blocked());
    EXPECT_EQ(socket_->stats().dropped_queue_full, 0U);
}

}  // namespace
}  // namespace kollator::rtc
