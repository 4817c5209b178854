#include "rtc/dtls/dtls_transport.h"

#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "rtc/certificate.h"

namespace kollator::rtc {
namespace {

constexpr std::int64_t kNow = 1'763'800'000;
constexpr std::size_t kMtuBytes = 1197;
constexpr std::size_t kRecordOverheadBytes = 37;  // header 13, explicit nonce 8, tag 16

Certificate make_certificate() {
    auto certificate = Certificate::generate(kNow);
    EXPECT_TRUE(certificate.ok());
    return std::move(*certificate);
}

/// One end: what it sends waits in `outbox` until the test carries it over.
struct End : DtlsSink {
    void on_dtls_datagram(ByteSpan datagram) override {
        outbox.emplace_back(datagram.begin(), datagram.end());
    }
    void on_dtls_data(ByteSpan data) override { received.emplace_back(as_text(data)); }

    void make(DtlsRole role, const std::array<std::uint8_t, 32>& remote) {
        transport = make_dtls_transport(certificate, role, remote, kMtuBytes, *this);
    }

    Certificate certificate = make_certificate();
    std::unique_ptr<DtlsTransport> transport;
    std::deque<Bytes> outbox;
    std::vector<std::string> received;
};

class DtlsTransportTest : public ::testing::Test {
 protected:
    void start() {
        if (!client.transport) client.make(DtlsRole::kClient, server.certificate.fingerprint());
        if (!server.transport) server.make(DtlsRole::kServer, client.certificate.fingerprint());
        server.transport->start(now);
        client.transport->start(now);
    }
    /// Carries datagrams until both are silent.
    void run() {
        while (!client.outbox.empty() || !server.outbox.empty()) {
            carry(client, server);
            carry(server, client);
        }
    }
    void carry(End& from, End& to) {
        while (!from.outbox.empty()) {
            const Bytes datagram = std::move(from.outbox.front());
            from.outbox.pop_front();
            to.transport->handle_datagram(datagram, now);
        }
    }
    void connect() {
        start();
        run();
        ASSERT_EQ(client.transport->state(), DtlsTransport::State::kConnected)
            << client.transport->failure();
        ASSERT_EQ(server.transport->state(), DtlsTransport::State::kConnected)
            << server.transport->failure();
    }

    TimePoint now{std::chrono::hours(1)};
    End client;
    End server;
};

TEST_F(DtlsTransportTest, HandshakesAndCarriesRecordsBothWays) {
    connect();
    ASSERT_TRUE(client.transport->send(as_bytes("ping")).ok());
    ASSERT_TRUE(server.transport->send(as_bytes("pong")).ok());
    run();
    EXPECT_EQ(server.received, std::vector<std::string>{"ping"});
    EXPECT_EQ(client.received, std::vector<std::string>{"pong"});
}

TEST_F(DtlsTransportTest, TheServerIsSilentUntilItIsSpokenTo) {
    server.make(DtlsRole::kServer, client.certificate.fingerprint());
    server.transport->start(now);
    EXPECT_TRUE(server.outbox.empty());
}

TEST_F(DtlsTransportTest, NoHandshakeDatagramIsLargerThanTheMtu) {
    start();
    while (!client.outbox.empty() || !server.outbox.empty()) {
        for (const auto* end : {&client, &server}) {
            for (const Bytes& datagram : end->outbox) EXPECT_LE(datagram.size(), kMtuBytes);
        }
        carry(client, server);
        carry(server, client);
    }
}

TEST_F(DtlsTransportTest, ARecordIsOneDatagramOfTheExpectedSize) {
    connect();
    ASSERT_TRUE(client.transport->send(Bytes(kMtuBytes - kRecordOverheadBytes, 7)).ok());
    ASSERT_EQ(client.outbox.size(), 1U);
    EXPECT_EQ(client.outbox.front().size(), kMtuBytes);
}

TEST_F(DtlsTransportTest, RecordBoundariesSurviveInOneDatagram) {
    connect();
    ASSERT_TRUE(client.transport->send(as_bytes("first")).ok());
    ASSERT_TRUE(client.transport->send(as_bytes("second")).ok());
    Bytes joined = client.outbox[0];
    joined.insert(joined.end(), client.outbox[1].begin(), client.outbox[1].end());
    server.transport->handle_datagram(joined, now);
    EXPECT_EQ(server.received, (std::vector<std::string>{"first", "second"}));
}

TEST_F(DtlsTransportTest, TheServerRefusesAClientWhoseCertificateIsNotTheAnnouncedOne) {
    const Certificate other = make_certificate();
    server.make(DtlsRole::kServer, other.fingerprint());
    start();
    run();
    EXPECT_EQ(server.transport->state(), DtlsTransport::State::kFailed);
    EXPECT_EQ(server.transport->failure(), "certificate does not match the fingerprint");
    EXPECT_EQ(client.transport->state(), DtlsTransport::State::kFailed);
}

TEST_F(DtlsTransportTest, TheClientRefusesAServerWhoseCertificateIsNotTheAnnouncedOne) {
    const Certificate other = make_certificate();
    client.make(DtlsRole::kClient, other.fingerprint());
    start();
    run();
    EXPECT_EQ(client.transport->state(), DtlsTransport::State::kFailed);
    EXPECT_EQ(client.transport->failure(), "certificate does not match the fingerprint");
    EXPECT_NE(server.transport->state(), DtlsTransport::State::kConnected);
}

TEST_F(DtlsTransportTest, CloseNotifyClosesTheOtherEnd) {
    connect();
    client.transport->close();
    run();
    EXPECT_EQ(client.transport->state(), DtlsTransport::State::kClosed);
    EXPECT_EQ(server.transport->state(), DtlsTransport::State::kClosed);
    EXPECT_FALSE(server.transport->next_timeout().has_value());
}

TEST_F(DtlsTransportTest, NothingReachesAClosedTransport) {
    connect();
    ASSERT_TRUE(client.transport->send(as_bytes("late")).ok());
    server.transport->close();
    carry(client, server);
    EXPECT_TRUE(server.received.empty());
}

TEST_F(DtlsTransportTest, GarbageBeforeAndAfterTheHandshakeIsIgnored) {
    start();
    for (std::uint8_t first = 20; first <= 63; ++first) {
        server.transport->handle_datagram(Bytes{first}, now);
        server.transport->handle_datagram(Bytes(40, first), now);
    }
    run();
    ASSERT_EQ(server.transport->state(), DtlsTransport::State::kConnected)
        << server.transport->failure();
    for (std::uint8_t first = 20; first <= 63; ++first) {
        server.transport->handle_datagram(Bytes(60, first), now);
    }
    ASSERT_TRUE(client.transport->send(as_bytes("still here")).ok());
    run();
    EXPECT_EQ(server.received, std::vector<std::string>{"still here"});
}

TEST_F(DtlsTransportTest, AForgedRecordIsDroppedAndTheNextOneTaken) {
    connect();
    ASSERT_TRUE(client.transport->send(as_bytes("forged")).ok());
    client.outbox.front().back() ^= 1;
    ASSERT_TRUE(client.transport->send(as_bytes("true")).ok());
    run();
    EXPECT_EQ(server.received, std::vector<std::string>{"true"});
}

TEST_F(DtlsTransportTest, AReplayedRecordIsDropped) {
    connect();
    ASSERT_TRUE(client.transport->send(as_bytes("once")).ok());
    client.outbox.push_back(client.outbox.front());
    run();
    EXPECT_EQ(server.received, std::vector<std::string>{"once"});
}

TEST_F(DtlsTransportTest, TruncatedHandshakeDatagramsDoNoHarm) {
    start();
    const Bytes hello = client.outbox.front();
    for (std::size_t size = 0; size < hello.size(); ++size) {
        server.transport->handle_datagram(ByteSpan(hello).first(size), now);
    }
    run();
    EXPECT_EQ(server.transport->state(), DtlsTransport::State::kConnected)
        << server.transport->failure();
}

TEST_F(DtlsTransportTest, GivesUpWhenNobodyAnswers) {
    start();
    server.transport.reset();
    while (client.transport->state() == DtlsTransport::State::kHandshaking) {
        ASSERT_TRUE(client.transport->next_timeout().has_value());
        now = std::max(now + std::chrono::milliseconds(1), *client.transport->next_timeout());
        client.transport->handle_timeout(now);
        ASSERT_LT(now, TimePoint(std::chrono::hours(2)));
    }
    EXPECT_EQ(client.transport->state(), DtlsTransport::State::kFailed);
    EXPECT_EQ(client.transport->failure(), "handshake timed out");
}

/// OpenSSL reads the real clock for its retransmissions (see openssl_dtls_transport.cc), so this
/// one test runs on real time: it waits for the condition, however long the machine takes.
TEST_F(DtlsTransportTest, ALostFlightIsSentAgain) {
    const auto begin = std::chrono::steady_clock::now();
    now = begin;
    start();
    client.outbox.clear();  // the first flight is lost
    int lost = 0;
    while (server.transport->state() != DtlsTransport::State::kConnected ||
           client.transport->state() != DtlsTransport::State::kConnected) {
        now = std::chrono::steady_clock::now();
        ASSERT_LT(now - begin, std::chrono::seconds(25));
        carry(client, server);
        if (!server.outbox.empty() && lost++ < 1) server.outbox.clear();  // and the first answer
        carry(server, client);
        for (End* end : {&client, &server}) {
            const auto due = end->transport->next_timeout();
            if (due && *due <= now) end->transport->handle_timeout(now);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    EXPECT_GE(lost, 1);
}

TEST_F(DtlsTransportTest, ATransportMayGoInTheMiddleOfTheHandshake) {
    start();
    carry(client, server);
    server.transport.reset();
    client.transport.reset();
    SUCCEED();
}

}  // namespace
}  // namespace kollator::rtc
