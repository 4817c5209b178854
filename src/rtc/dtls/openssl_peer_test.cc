// Our transport against OpenSSL with its own record layer, in both roles: the two must understand
// each other's records, and what OpenSSL asks for after the handshake must be answered.
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "rtc/certificate.h"
#include "rtc/dtls/datagram_bio.h"
#include "rtc/dtls/dtls_context.h"
#include "rtc/dtls/dtls_transport.h"
#include "rtc/dtls/record.h"

namespace kollator::rtc {
namespace {

constexpr std::size_t kMtuBytes = 1197;

Certificate make_certificate() {
    auto certificate = Certificate::generate(1'763'800'000);
    EXPECT_TRUE(certificate.ok());
    return std::move(*certificate);
}

struct Ours final : DtlsSink {
    void on_dtls_datagram(ByteSpan datagram) override {
        outbox.emplace_back(datagram.begin(), datagram.end());
    }
    void on_dtls_data(ByteSpan data) override { received.emplace_back(as_text(data)); }

    Certificate certificate = make_certificate();
    std::unique_ptr<DtlsTransport> transport;
    std::deque<Bytes> outbox;
    std::vector<std::string> received;
};

/// OpenSSL as it is, over the same BIO.
struct Theirs final : DatagramWriter, PeerVerifier {
    void write_datagram(ByteSpan datagram) override {
        outbox.emplace_back(datagram.begin(), datagram.end());
    }
    bool accept_peer(const crypto::Sha256Digest&) override { return true; }

    void make(bool client, const char* ciphers) {
        ssl.reset(SSL_new(dtls_context(certificate.impl())));
        ASSERT_EQ(SSL_set_cipher_list(ssl.get(), ciphers), 1);
        port.writer = this;
        port.mtu_bytes = kMtuBytes;
        BIO* bio = make_datagram_bio(port).release();
        SSL_set_bio(ssl.get(), bio, bio);
        SSL_set_mtu(ssl.get(), kMtuBytes);
        // A test waits for the first retransmission; further ones come ever later, since OpenSSL
        // gives up after some.
        DTLS_set_timer_cb(ssl.get(), [](SSL*, unsigned int before) {
            constexpr unsigned int kFirstUs = 20'000;
            return before == 0 ? kFirstUs : 2 * before;
        });
        set_verifier(ssl.get(), *this);
        client ? SSL_set_connect_state(ssl.get()) : SSL_set_accept_state(ssl.get());
    }
    void take(const Bytes& datagram) {
        port.incoming = datagram;
        std::array<char, kMaxRecordBytes> buffer;
        for (int size = 0; (size = SSL_read(ssl.get(), buffer.data(), buffer.size())) > 0;) {
            received.emplace_back(buffer.data(), static_cast<std::size_t>(size));
        }
        ERR_clear_error();
        port.incoming = {};
    }
    bool done() const { return SSL_is_init_finished(ssl.get()) == 1; }
    void send(std::string_view text) {
        ASSERT_EQ(SSL_write(ssl.get(), text.data(), static_cast<int>(text.size())),
                  static_cast<int>(text.size()));
    }

    Certificate certificate = make_certificate();
    DatagramPort port;
    OpensslPtr<SSL, SSL_free> ssl;
    std::deque<Bytes> outbox;
    std::vector<std::string> received;
};

struct Case {
    DtlsRole our_role;
    const char* cipher;
};

class OpensslPeerTest : public ::testing::TestWithParam<Case> {
 protected:
    void start() {
        ours.transport = make_dtls_transport(ours.certificate, GetParam().our_role,
                                             theirs.certificate.fingerprint(), kMtuBytes, ours);
        theirs.make(GetParam().our_role == DtlsRole::kServer, GetParam().cipher);
        ours.transport->start(now);
        theirs.take({});
    }
    void carry_to_theirs() {
        while (!ours.outbox.empty()) {
            theirs.take(ours.outbox.front());
            ours.outbox.pop_front();
        }
    }
    void carry_to_ours() {
        while (!theirs.outbox.empty()) {
            ours.transport->handle_datagram(theirs.outbox.front(), now);
            theirs.outbox.pop_front();
        }
    }
    void run() {
        while (!ours.outbox.empty() || !theirs.outbox.empty()) {
            carry_to_theirs();
            carry_to_ours();
        }
    }
    void connect() {
        start();
        run();
        ASSERT_EQ(ours.transport->state(), DtlsTransport::State::kConnected)
            << ours.transport->failure();
        ASSERT_TRUE(theirs.done());
    }

    TimePoint now = std::chrono::steady_clock::now();
    Ours ours;
    Theirs theirs;
};
INSTANTIATE_TEST_SUITE_P(RolesAndCiphers, OpensslPeerTest,
                         ::testing::Values(Case{DtlsRole::kServer, "ECDHE-ECDSA-AES128-GCM-SHA256"},
                                           Case{DtlsRole::kServer, "ECDHE-ECDSA-AES256-GCM-SHA384"},
                                           Case{DtlsRole::kClient, "ECDHE-ECDSA-AES128-GCM-SHA256"},
                                           Case{DtlsRole::kClient,
                                                "ECDHE-ECDSA-AES256-GCM-SHA384"}));

TEST_P(OpensslPeerTest, UnderstandsOurRecordsAndWeTheirs) {
    connect();
    std::vector<std::string> sent;
    for (std::size_t size = 1; size <= 1160; size += 61) sent.emplace_back(size, 'x');
    for (const std::string& text : sent) {
        ASSERT_TRUE(ours.transport->send(as_bytes(text)).ok());
        theirs.send(text);
    }
    run();
    EXPECT_EQ(theirs.received, sent);
    EXPECT_EQ(ours.received, sent);
}

TEST_P(OpensslPeerTest, ItsCloseNotifyIsAnswered) {
    connect();
    SSL_shutdown(theirs.ssl.get());
    carry_to_ours();
    EXPECT_EQ(ours.transport->state(), DtlsTransport::State::kClosed);
    carry_to_theirs();
    EXPECT_EQ(SSL_get_shutdown(theirs.ssl.get()), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

TEST_P(OpensslPeerTest, OursIsTakenForACloseNotify) {
    connect();
    ours.transport->close();
    carry_to_theirs();
    EXPECT_NE(SSL_get_shutdown(theirs.ssl.get()) & SSL_RECEIVED_SHUTDOWN, 0);
}

class AgainstAnOpensslServer : public OpensslPeerTest {};
class AgainstAnOpensslClient : public OpensslPeerTest {};
INSTANTIATE_TEST_SUITE_P(Ciphers, AgainstAnOpensslServer,
                         ::testing::Values(Case{DtlsRole::kClient,
                                                "ECDHE-ECDSA-AES128-GCM-SHA256"}));
INSTANTIATE_TEST_SUITE_P(Ciphers, AgainstAnOpensslClient,
                         ::testing::Values(Case{DtlsRole::kServer,
                                                "ECDHE-ECDSA-AES128-GCM-SHA256"}));

TEST_P(AgainstAnOpensslServer, DataThatOvertakesTheEndOfTheHandshakeIsKept) {
    start();
    while (!theirs.done()) {
        carry_to_ours();
        carry_to_theirs();
    }
    ASSERT_EQ(ours.transport->state(), DtlsTransport::State::kHandshaking);
    const std::deque<Bytes> last_flight = std::exchange(theirs.outbox, {});
    theirs.send("early");
    // And much that proves nothing, which must not push it out for ever.
    const Bytes early = theirs.outbox.front();
    Bytes forged = early;
    forged.back() ^= 1;
    carry_to_ours();
    for (int i = 0; i < 100; ++i) ours.transport->handle_datagram(forged, now);
    EXPECT_TRUE(ours.received.empty());
    for (const Bytes& datagram : last_flight) ours.transport->handle_datagram(datagram, now);
    ASSERT_EQ(ours.transport->state(), DtlsTransport::State::kConnected);
    EXPECT_EQ(ours.received, std::vector<std::string>{"early"});
    theirs.send("after");
    ours.transport->handle_datagram(early, now);
    run();
    EXPECT_EQ(ours.received, (std::vector<std::string>{"early", "after"}));
}

/// RFC 6347 4.2.4: the server's last flight was lost; the client asks for it by sending its own
/// again, and by then the library that made it is gone.
TEST_P(AgainstAnOpensslClient, ALostLastFlightIsSentAgainWithNewNumbers) {
    start();
    while (ours.transport->state() != DtlsTransport::State::kConnected) {
        carry_to_theirs();
        carry_to_ours();
    }
    const std::deque<Bytes> lost = std::exchange(ours.outbox, {});
    ASSERT_FALSE(lost.empty());
    ASSERT_FALSE(theirs.done());
    ASSERT_TRUE(ours.transport->send(as_bytes("too early for the client")).ok());
    carry_to_theirs();

    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!theirs.done()) {
        ASSERT_LT(std::chrono::steady_clock::now(), limit);
        DTLSv1_handle_timeout(theirs.ssl.get());
        run();
    }
    EXPECT_EQ(ours.transport->state(), DtlsTransport::State::kConnected);
    ours.transport->send(as_bytes("now")).ok();
    theirs.send("and back");
    run();
    ASSERT_FALSE(theirs.received.empty());
    EXPECT_EQ(theirs.received.back(), "now");
    EXPECT_EQ(ours.received, std::vector<std::string>{"and back"});
}

TEST_P(OpensslPeerTest, RetransmittedFlightsAfterTheHandshakeDoNoHarm) {
    start();
    std::vector<Bytes> all;
    while (!ours.outbox.empty() || !theirs.outbox.empty()) {
        carry_to_theirs();
        all.insert(all.end(), theirs.outbox.begin(), theirs.outbox.end());
        carry_to_ours();
    }
    ASSERT_EQ(ours.transport->state(), DtlsTransport::State::kConnected);
    for (const Bytes& datagram : all) ours.transport->handle_datagram(datagram, now);
    run();
    EXPECT_EQ(ours.transport->state(), DtlsTransport::State::kConnected);
    theirs.send("still here");
    run();
    EXPECT_EQ(ours.received, std::vector<std::string>{"still here"});
}

TEST_P(OpensslPeerTest, RenegotiationIsRefused) {
    connect();
    SSL_clear_options(theirs.ssl.get(), SSL_OP_NO_RENEGOTIATION);
    ASSERT_EQ(SSL_renegotiate(theirs.ssl.get()), 1);
    SSL_do_handshake(theirs.ssl.get());
    ERR_clear_error();
    ASSERT_FALSE(theirs.outbox.empty());
    carry_to_ours();
    ASSERT_EQ(ours.outbox.size(), 1U);
    EXPECT_EQ(ours.outbox.front()[0], static_cast<std::uint8_t>(RecordType::kAlert));
    EXPECT_EQ(ours.transport->state(), DtlsTransport::State::kConnected);
}

}  // namespace
}  // namespace kollator::rtc
