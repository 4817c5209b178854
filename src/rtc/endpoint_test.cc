#include "rtc/endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/system_random.h"
#include "loop/system_clock.h"
#include "rtc/certificate.h"
#include "rtc/sdp/description.h"
#include "rtc/testing/peer_socket.h"

namespace kollator::rtc {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;

std::string offer_sdp(std::string_view setup = "actpass") {
    std::string digest = "00";
    for (int i = 1; i < 32; ++i) digest += ":11";
    return "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
           "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n"
           "a=ice-ufrag:" +
           std::string(kPeerUfrag) +
           "\r\na=ice-pwd:0123456789abcdefghijkl\r\na=fingerprint:sha-256 " + digest +
           "\r\na=setup:" + std::string(setup) + "\r\na=mid:0\r\na=sctp-port:5000\r\n";
}

/// What the observer was told; outlives it.
struct Told {
    int connected = 0;
    int closed = 0;
    std::string reason;
};

class Recorder final : public PeerObserver {
 public:
    explicit Recorder(Told& told) : told_(told) {}
    void on_connected() override { ++told_.connected; }
    std::unique_ptr<DataChannelObserver> on_channel(DataChannel&) override { return nullptr; }
    void on_closed(const std::string& reason) override {
        ++told_.closed;
        told_.reason = reason;
    }

 private:
    Told& told_;
};

class EndpointTest : public ::testing::Test {
 protected:
    EndpointTest() : certificate_(*Certificate::generate(1'763'800'000)) {
        options_.bind_address = "127.0.0.1";
        options_.max_connections = 2;
    }
    void open() {
        auto opened =
            open_endpoint(loop_, system_clock(), crypto::system_random(), certificate_, options_);
        ASSERT_TRUE(opened.ok()) << opened.error().detail;
        endpoint_ = std::move(*opened);
    }
    Result<Answer> accept(const std::string& sdp = offer_sdp()) {
        return endpoint_->accept(sdp, std::make_unique<Recorder>(told_));
    }
    bool wait_for(const std::function<bool()>& done) { return loop_.run_until(done, seconds(30)); }
    static IceCredentials credentials_in(const Answer& answer) {
        return parse_offer(answer.sdp)->ice;
    }

    EventLoop loop_;
    Certificate certificate_;
    EndpointOptions options_;
    std::unique_ptr<Endpoint> endpoint_;
    Told told_;
};

TEST_F(EndpointTest, AnswersWithEveryCandidateAndPassive) {
    open();
    const Result<Answer> answer = accept();
    ASSERT_TRUE(answer.ok());
    EXPECT_THAT(answer->sdp,
                HasSubstr("127.0.0.1 " + std::to_string(endpoint_->port()) + " typ host"));
    EXPECT_THAT(answer->sdp, HasSubstr("a=setup:passive\r\n"));
    EXPECT_THAT(answer->sdp, HasSubstr("a=end-of-candidates\r\n"));
    EXPECT_THAT(answer->sdp, HasSubstr(certificate_.fingerprint_text()));
    EXPECT_EQ(endpoint_->stats().pending, 1u);
    EXPECT_EQ(endpoint_->stats().active, 0u);
    const Result<Answer> passive = accept(offer_sdp("passive"));
    ASSERT_TRUE(passive.ok());
    EXPECT_THAT(passive->sdp, HasSubstr("a=setup:active\r\n"));
    EXPECT_NE(passive->peer, answer->peer);
}

TEST_F(EndpointTest, TellsWhyItAcceptsNot) {
    open();
    EXPECT_EQ(accept("rubbish").error().code, ErrorCode::kInvalid);
    EXPECT_EQ(accept("v=0\r\n").error().code, ErrorCode::kNotFound);
    ASSERT_TRUE(accept().ok());
    ASSERT_TRUE(accept().ok());
    EXPECT_EQ(accept().error().code, ErrorCode::kLimit);
}

TEST_F(EndpointTest, TellsWhyItOpensNot) {
    options_.bind_address = "localhost";
    const auto named =
        open_endpoint(loop_, system_clock(), crypto::system_random(), certificate_, options_);
    ASSERT_FALSE(named.ok());
    EXPECT_EQ(named.error().code, ErrorCode::kInvalid);
    options_.bind_address = "127.0.0.1";
    options_.announce_addresses = {"worker.example"};
    const auto announced =
        open_endpoint(loop_, system_clock(), crypto::system_random(), certificate_, options_);
    ASSERT_FALSE(announced.ok());
    EXPECT_EQ(announced.error().code, ErrorCode::kInvalid);
    options_.announce_addresses.clear();
    open();
    options_.port = endpoint_->port();
    const auto taken =
        open_endpoint(loop_, system_clock(), crypto::system_random(), certificate_, options_);
    ASSERT_FALSE(taken.ok());
    EXPECT_EQ(taken.error().code, ErrorCode::kUnavailable);
}

TEST_F(EndpointTest, AnnouncesWhatItIsTold) {
    options_.announce_addresses = {"203.0.113.77"};
    open();
    const Result<Answer> answer = accept();
    ASSERT_TRUE(answer.ok());
    EXPECT_THAT(answer->sdp, HasSubstr("203.0.113.77"));
    EXPECT_THAT(answer->sdp, Not(HasSubstr(" 127.0.0.1 " + std::to_string(endpoint_->port()))));
}

TEST_F(EndpointTest, AnnouncesNoAddressOfAFamilyThatItHasNot) {
    options_.announce_addresses = {"203.0.113.77", "2001:db8::7"};
    const auto refused =
        open_endpoint(loop_, system_clock(), crypto::system_random(), certificate_, options_);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalid);
    EXPECT_THAT(refused.error().detail, HasSubstr("2001:db8::7 cannot be announced"));
}

TEST_F(EndpointTest, TakesCandidatesInEveryForm) {
    open();
    const Result<Answer> answer = accept();
    ASSERT_TRUE(answer.ok());
    for (const char* text : {"a=candidate:1 1 udp 1 127.0.0.1 9 typ host",
                             "candidate:1 1 udp 1 abc.local 9 typ host", ""}) {
        EXPECT_TRUE(endpoint_->add_remote_candidate(answer->peer, text).ok()) << text;
    }
    EXPECT_EQ(endpoint_->add_remote_candidate(answer->peer, "candidate:x").error().code,
              ErrorCode::kInvalid);
    EXPECT_EQ(endpoint_->add_remote_candidate(99, "").error().code, ErrorCode::kNotFound);
}

TEST_F(EndpointTest, GivesUpOnAPeerThatNeverComes) {
    options_.connect_timeout = milliseconds(50);
    open();
    ASSERT_TRUE(accept().ok());
    ASSERT_TRUE(wait_for([&] { return told_.closed > 0; }));
    EXPECT_EQ(told_.reason, "connect timeout");
    EXPECT_EQ(told_.connected, 0);
    EXPECT_TRUE(wait_for([&] { return endpoint_->peers().empty(); }));
    EXPECT_EQ(endpoint_->stats().pending, 0u);
    EXPECT_TRUE(accept().ok());
}

TEST_F(EndpointTest, TellsTheObserverOfItsEndOnceAndLater) {
    open();
    const Result<Answer> answer = accept();
    ASSERT_TRUE(answer.ok());
    endpoint_->close(answer->peer, "enough");
    endpoint_->close(answer->peer, "again");
    EXPECT_EQ(told_.closed, 0);
    ASSERT_TRUE(wait_for([&] { return told_.closed > 0; }));
    EXPECT_EQ(told_.reason, "enough");
    EXPECT_TRUE(wait_for([&] { return endpoint_->peers().empty(); }));
    EXPECT_EQ(told_.closed, 1);
    endpoint_->close(answer->peer, "gone");
}

TEST_F(EndpointTest, AnswersChecksOfThoseWhoKnowThePassword) {
    open();
    const Result<Answer> answer = accept();
    ASSERT_TRUE(answer.ok());
    PeerSocket peer(endpoint_->port());
    IceCredentials wrong = credentials_in(*answer);
    wrong.password[0] ^= 1;
    peer.check(wrong);
    IceCredentials stranger = credentials_in(*answer);
    stranger.ufrag[0] ^= 1;
    peer.check(stranger);
    peer.send(as_bytes(std::string_view("\x16\xfe\xfd junk", 8)));
    peer.send(as_bytes("GET / HTTP/1.1\r\n"));
    peer.check(credentials_in(*answer));
    std::optional<StunMessage> got;
    ASSERT_TRUE(wait_for([&] { return (got = peer.receive()).has_value(); }));
    // The first thing that came back is the answer to the only good check.
    EXPECT_EQ(got->message_class, StunClass::kSuccess);
    EXPECT_EQ(got->transaction, (TransactionId{1, 2, 3}));
    // And then a check in the other direction.
    ASSERT_TRUE(wait_for([&] { return (got = peer.receive()).has_value(); }));
    EXPECT_EQ(got->message_class, StunClass::kRequest);
    EXPECT_EQ(endpoint_->stats().packets_received, 5u);
}

TEST_F(EndpointTest, KeepsNothingOfADialThatDoesNotVerify) {
    open();
    endpoint_->accept_direct([this](PeerId) { return std::make_unique<Recorder>(told_); });
    PeerSocket peer(endpoint_->port());
    const IceCredentials good = direct_credentials("0123456789abcdefghijkl");
    peer.check({good.ufrag, good.password + "x"});
    peer.check(direct_credentials("too short"));
    peer.check({"kollator+webrtc+v1/", "kollator+webrtc+v1/"});
    ASSERT_TRUE(wait_for([&] { return endpoint_->stats().packets_received == 3; }));
    EXPECT_EQ(endpoint_->stats().pending, 0u);
    peer.check(good);
    std::optional<StunMessage> got;
    ASSERT_TRUE(wait_for([&] { return (got = peer.receive()).has_value(); }));
    EXPECT_EQ(got->message_class, StunClass::kSuccess);
    EXPECT_EQ(endpoint_->stats().pending, 1u);
}

TEST_F(EndpointTest, TakesADialOnce) {
    options_.direct_timeout = milliseconds(50);
    open();
    endpoint_->accept_direct([this](PeerId) { return std::make_unique<Recorder>(told_); });
    PeerSocket peer(endpoint_->port());
    const IceCredentials dial = direct_credentials("0123456789abcdefghijkl");
    peer.check(dial);
    ASSERT_TRUE(wait_for([&] { return endpoint_->peers().size() == 1; }));
    ASSERT_TRUE(wait_for([&] { return endpoint_->peers().empty(); }));
    EXPECT_EQ(told_.reason, "connect timeout");
    // A client that missed the end checks on; an answer would keep it from noticing.
    const std::uint64_t received = endpoint_->stats().packets_received;
    peer.check(dial);
    ASSERT_TRUE(wait_for([&] { return endpoint_->stats().packets_received > received; }));
    EXPECT_TRUE(endpoint_->peers().empty());
    peer.check(direct_credentials("another0123456789abcdefghijkl"));
    EXPECT_TRUE(wait_for([&] { return endpoint_->peers().size() == 1; }));
}

TEST_F(EndpointTest, BeginsNoHandshakeBeforeTheAddressIsProved) {
    open();
    endpoint_->accept_direct([this](PeerId) { return std::make_unique<Recorder>(told_); });
    PeerSocket peer(endpoint_->port());
    peer.check(direct_credentials("0123456789abcdefghijkl"));
    // The beginning of a ClientHello: a server that took it would answer, or close.
    for (int i = 0; i < 10; ++i) peer.send(as_bytes(std::string_view("\x16\xfe\xfd\0\0", 5)));
    ASSERT_TRUE(wait_for([&] { return endpoint_->stats().packets_received == 11; }));
    std::vector<StunClass> got;
    ASSERT_TRUE(wait_for([&] {
        if (const auto message = peer.receive()) got.push_back(message->message_class);
        return got.size() >= 3;
    }));
    // The answer, and then checks that nobody answers; nothing else.
    EXPECT_EQ(got, (std::vector{StunClass::kSuccess, StunClass::kRequest, StunClass::kRequest}));
    EXPECT_EQ(told_.closed, 0);
}

TEST_F(EndpointTest, EndsWithConnectionsStillThere) {
    open();
    ASSERT_TRUE(accept().ok());
    ASSERT_TRUE(accept().ok());
    endpoint_.reset();
    loop_.run_until([] { return false; }, milliseconds(1));
    EXPECT_EQ(told_.closed, 0);
}

}  // namespace
}  // namespace kollator::rtc
