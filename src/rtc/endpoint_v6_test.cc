// Connections over IPv6: offer and answer, direct dial, an address that is not the kernel's choice.
#include <gmock/gmock.h>

#include "rtc/testing/endpoint_pair.h"
#include "rtc/testing/own_network.h"

namespace kollator::rtc {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

const IpAddress kSecond = *IpAddress::parse("fd00::5");

class Ipv6Test : public EndpointPairTest {
 protected:
    /// False where there is no IPv6.
    bool open_at(const std::string& bind) {
        client_options_.bind_address = worker_options_.bind_address = bind;
        client_options_.include_loopback = worker_options_.include_loopback = true;
        EndpointOptions probe = client_options_;
        probe.bind_address = "::1";
        if (!open_endpoint(loop_, system_clock(), crypto::system_random(), client_certificate_,
                           probe)
                 .ok()) {
            return false;
        }
        open();
        worker_->accept_direct([this](PeerId) { return worker_peer(); });
        return true;
    }
    void dial(const DirectAddress& address) {
        const Result<PeerId> peer = client_->dial(address, client_peer());
        ASSERT_TRUE(peer.ok());
        ASSERT_TRUE(client_->open_channel(*peer, {.label = "kollator", .protocol = {}}).ok());
    }
    /// As much as a direct dial carries in a message: enough for batches.
    bool echoes_much() { return echoes(std::string(65'536, 'x')) && echoes("and little"); }
};

TEST_F(Ipv6Test, ConnectsByOfferAndAnswer) {
    if (!open_at("::1")) GTEST_SKIP() << "no IPv6";
    connect();
    EXPECT_TRUE(echoes_much());
    EXPECT_THAT(client_->peers().at(0).remote_address, StartsWith("[::1]:"));
    EXPECT_THAT(worker_->peers().at(0).remote_address, StartsWith("[::1]:"));
}

TEST_F(Ipv6Test, IsDialedDirectly) {
    if (!open_at("::1")) GTEST_SKIP() << "no IPv6";
    const std::string text = format_direct_address(worker_->direct_addresses().at(0));
    EXPECT_THAT(text, StartsWith("/ip6/::1/udp/" + std::to_string(worker_->port())));
    const Result<DirectAddress> address = parse_direct_address(text);
    ASSERT_TRUE(address.ok());
    dial(*address);
    EXPECT_TRUE(echoes_much());
    EXPECT_EQ(client_->peers().at(0).remote_address, address->address.text());
}

TEST_F(Ipv6Test, AnswersFromTheAddressThatWasDialed) {
    const bool ran = run_in_own_network(kSecond, [this] {
        // From ::1 the kernel would answer ::1 by ::1, which no ICE agent would take for fd00::5.
        ASSERT_TRUE(open_at("::"));
        client_.reset();
        client_options_.bind_address = "::1";
        client_ = EndpointPairTest::open(client_certificate_, client_options_);
        const DirectAddress second{{kSecond, worker_->port()}, worker_certificate_.fingerprint()};
        dial(second);
        EXPECT_TRUE(echoes_much());
        EXPECT_EQ(client_->peers().at(0).remote_address, second.address.text());
        client_.reset();
        worker_.reset();
    });
    if (!ran) GTEST_SKIP() << "no network namespace of our own, or no IPv6";
}

TEST_F(Ipv6Test, IsOfferedBesideIpv4OnOneSocket) {
    if (!open_at("::")) GTEST_SKIP() << "no IPv6";
    std::string all;
    for (const std::string& candidate : worker_->local_candidates()) all += candidate + "\n";
    EXPECT_THAT(all, HasSubstr(" 127.0.0.1 "));
    EXPECT_THAT(all, HasSubstr(" ::1 "));
    dial({{*IpAddress::parse("::1"), worker_->port()}, worker_certificate_.fingerprint()});
    EXPECT_TRUE(echoes("over IPv6"));
    EXPECT_THAT(worker_->peers().at(0).remote_address, StartsWith("[::1]:"));
}

}  // namespace
}  // namespace kollator::rtc
