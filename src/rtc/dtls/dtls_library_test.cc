// The part of OpenSSL that our handshakes run with, against OpenSSL with all it has: peers'
// certificates have keys of several kinds.
#include "rtc/dtls/dtls_library.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <deque>
#include <string>

#include "rtc/certificate.h"
#include "rtc/certificate_impl.h"
#include "rtc/dtls/datagram_bio.h"
#include "rtc/dtls/dtls_transport.h"

namespace kollator::rtc {
namespace {

constexpr std::size_t kMtuBytes = 1197;

KeyPtr make_key(const std::string& kind) {
    if (kind == "RSA") {
        return KeyPtr(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{2048}));
    }
    if (kind.starts_with("P-")) return KeyPtr(EVP_EC_gen(kind.c_str()));
    return KeyPtr(EVP_PKEY_Q_keygen(nullptr, nullptr, kind.c_str()));
}

X509Ptr self_signed(EVP_PKEY* key) {
    X509Ptr certificate(X509_new());
    ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
    X509_set_pubkey(certificate.get(), key);
    const bool digests = EVP_PKEY_is_a(key, "ED25519") != 1;
    EXPECT_GT(X509_sign(certificate.get(), key, digests ? EVP_sha256() : nullptr), 0);
    return certificate;
}

/// Whether libssl would agree on a secret with a peer that sends this ephemeral key.
bool agrees(const KeyPtr& own, ByteSpan point) {
    const KeyPtr peer(EVP_PKEY_new());
    EXPECT_EQ(EVP_PKEY_copy_parameters(peer.get(), own.get()), 1);
    if (EVP_PKEY_set1_encoded_public_key(peer.get(), point.data(), point.size()) != 1) return false;
    const OpensslPtr<EVP_PKEY_CTX, EVP_PKEY_CTX_free> context(
        EVP_PKEY_CTX_new_from_pkey(dtls_library(), own.get(), nullptr));
    EXPECT_EQ(EVP_PKEY_derive_init(context.get()), 1);
    return EVP_PKEY_derive_set_peer(context.get(), peer.get()) == 1;
}

class EphemeralKeys : public ::testing::TestWithParam<const char*> {};

TEST_P(EphemeralKeys, MustBePointsOfTheCurve) {
    const KeyPtr own(EVP_PKEY_Q_keygen(dtls_library(), nullptr, "EC", GetParam()));
    const KeyPtr other(EVP_PKEY_Q_keygen(dtls_library(), nullptr, "EC", GetParam()));
    ASSERT_TRUE(own && other);
    unsigned char* raw = nullptr;
    const std::size_t size = EVP_PKEY_get1_encoded_public_key(other.get(), &raw);
    Bytes point(raw, raw + size);
    OPENSSL_free(raw);
    EXPECT_TRUE(agrees(own, point));
    point.back() ^= 1;
    EXPECT_FALSE(agrees(own, point)) << "not on the curve";
    // SEC 1, 2.3.3: a single 0.
    EXPECT_FALSE(agrees(own, Bytes{0})) << "infinity";
}
INSTANTIATE_TEST_SUITE_P(OfEachGroup, EphemeralKeys, ::testing::Values("P-256", "P-384"),
                         [](const auto& tested) { return std::string(tested.param).erase(1, 1); });

struct Ours final : DtlsSink {
    void on_dtls_datagram(ByteSpan datagram) override {
        outbox.emplace_back(datagram.begin(), datagram.end());
    }
    void on_dtls_data(ByteSpan) override {}
    std::deque<Bytes> outbox;
};

struct Theirs final : DatagramWriter {
    void write_datagram(ByteSpan datagram) override {
        outbox.emplace_back(datagram.begin(), datagram.end());
    }
    std::deque<Bytes> outbox;
};

struct Case {
    DtlsRole our_role;
    const char* kind;
};

class PeerKeys : public ::testing::TestWithParam<Case> {};

TEST_P(PeerKeys, AreTaken) {
    ASSERT_NE(dtls_library(), nullptr) << "this OpenSSL lacks something, or is not set up for it";
    const KeyPtr key = make_key(GetParam().kind);
    ASSERT_TRUE(key);
    const X509Ptr x509 = self_signed(key.get());
    const SslContextPtr context(SSL_CTX_new(DTLS_method()));
    ASSERT_EQ(SSL_CTX_use_certificate(context.get(), x509.get()), 1);
    ASSERT_EQ(SSL_CTX_use_PrivateKey(context.get(), key.get()), 1);
    const auto accept = [](int, X509_STORE_CTX*) { return 1; };
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, accept);

    Theirs theirs;
    DatagramPort port;
    port.writer = &theirs;
    port.mtu_bytes = kMtuBytes;
    const OpensslPtr<SSL, SSL_free> ssl(SSL_new(context.get()));
    BIO* const bio = make_datagram_bio(port).release();
    SSL_set_bio(ssl.get(), bio, bio);
    SSL_set_options(ssl.get(), SSL_OP_NO_QUERY_MTU);
    SSL_set_mtu(ssl.get(), kMtuBytes);
    const bool client = GetParam().our_role == DtlsRole::kServer;
    client ? SSL_set_connect_state(ssl.get()) : SSL_set_accept_state(ssl.get());

    const auto certificate = Certificate::generate(1'763'800'000);
    ASSERT_TRUE(certificate.ok());
    Ours ours;
    const TimePoint now = std::chrono::steady_clock::now();
    const auto transport =
        make_dtls_transport(*certificate, GetParam().our_role, std::nullopt, kMtuBytes, ours);
    transport->start(now);
    SSL_do_handshake(ssl.get());
    while (!ours.outbox.empty() || !theirs.outbox.empty()) {
        for (const Bytes& datagram : std::exchange(ours.outbox, {})) {
            port.incoming = datagram;
            SSL_do_handshake(ssl.get());
        }
        for (const Bytes& datagram : std::exchange(theirs.outbox, {})) {
            transport->handle_datagram(datagram, now);
        }
    }
    EXPECT_EQ(transport->state(), DtlsTransport::State::kConnected) << transport->failure();
    EXPECT_EQ(SSL_is_init_finished(ssl.get()), 1);
}
INSTANTIATE_TEST_SUITE_P(
    OfClientsAndServers, PeerKeys,
    ::testing::Values(Case{DtlsRole::kServer, "P-256"}, Case{DtlsRole::kServer, "P-384"},
                      Case{DtlsRole::kServer, "RSA"}, Case{DtlsRole::kServer, "ED25519"},
                      Case{DtlsRole::kClient, "P-256"}, Case{DtlsRole::kClient, "P-384"},
                      Case{DtlsRole::kClient, "RSA"}),
    [](const ::testing::TestParamInfo<Case>& tested) {
        std::string name = tested.param.kind;
        std::erase(name, '-');
        return name + (tested.param.our_role == DtlsRole::kServer ? "OfClient" : "OfServer");
    });

}  // namespace
}  // namespace kollator::rtc
