#include "signaling/web_socket_client.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <memory>
#include <optional>
#include <thread>

#include "base/random.h"
#include "signaling/signaling_client.h"

namespace kollator::signaling {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Tcp = asio::ip::tcp;

/// A key and a self-signed certificate for `host`, in one temporary PEM file.
class TestCertificate {
 public:
    explicit TestCertificate(const std::string& host) {
        const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"),
                                                                      EVP_PKEY_free);
        const std::unique_ptr<X509, decltype(&X509_free)> x509(X509_new(), X509_free);
        X509_set_version(x509.get(), 2);
        ASN1_INTEGER_set(X509_get_serialNumber(x509.get()), 1);
        X509_gmtime_adj(X509_getm_notBefore(x509.get()), -86400);
        X509_gmtime_adj(X509_getm_notAfter(x509.get()), 86400);
        X509_set_pubkey(x509.get(), key.get());
        X509_NAME* name = X509_get_subject_name(x509.get());
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                   reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
        X509_set_issuer_name(x509.get(), name);
        X509_EXTENSION* alternative =
            X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, ("DNS:" + host).c_str());
        X509_add_ext(x509.get(), alternative, -1);
        X509_EXTENSION_free(alternative);
        X509_sign(x509.get(), key.get(), EVP_sha256());

        char name_template[] = "/tmp/kollator-tls-XXXXXX";
        const int descriptor = ::mkstemp(name_template);
        path_ = name_template;
        FILE* file = ::fdopen(descriptor, "w");
        PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
        PEM_write_X509(file, x509.get());
        std::fclose(file);
    }
    ~TestCertificate() { ::unlink(path_.c_str()); }
    const std::string& path() const { return path_; }

 private:
    std::string path_;
};

/// Accepts one connection, echoes one message over WebSocket in TLS, and ends.
class TlsEchoServer {
 public:
    explicit TlsEchoServer(const std::string& pem) {
        tls_.use_private_key_file(pem, asio::ssl::context::pem);
        tls_.use_certificate_file(pem, asio::ssl::context::pem);
        thread_ = std::thread([this] { serve(); });
    }
    ~TlsEchoServer() { thread_.join(); }
    std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

 private:
    void serve() {
        beast::error_code error;
        beast::websocket::stream<beast::ssl_stream<Tcp::socket>> stream(acceptor_.accept(), tls_);
        stream.next_layer().handshake(asio::ssl::stream_base::server, error);
        if (!error) stream.accept(error);
        beast::flat_buffer buffer;
        if (!error) stream.read(buffer, error);
        stream.text(true);
        if (!error) stream.write(buffer.data(), error);
        if (!error) stream.read(buffer, error);  // the close frame
    }

    asio::io_context context_;
    Tcp::acceptor acceptor_{context_, {asio::ip::address_v4::loopback(), 0}};
    asio::ssl::context tls_{asio::ssl::context::tls_server};
    std::thread thread_;
};

struct Seen {
    bool open = false;
    std::string text;
    std::optional<std::string> closed;
};

std::unique_ptr<WebSocketClient> connect(EventLoop& loop, const std::string& url,
                                         const std::string& ca_file, Seen& seen,
                                         Duration timeout = seconds(20)) {
    WebSocketClientOptions options;
    options.url = *parse_web_socket_url(url);
    options.ca_file = ca_file;
    options.connect_timeout = timeout;
    return std::make_unique<WebSocketClient>(
        loop, options,
        WebSocketClientCallbacks{[&] { seen.open = true; },
                                 [&](std::string_view text) { seen.text = std::string(text); },
                                 [&](const std::string& reason) { seen.closed = reason; }});
}

TEST(WebSocketClient, SpeaksTlsWithAServerItCanVerify) {
    const TestCertificate certificate("localhost");
    TlsEchoServer server(certificate.path());
    EventLoop loop;
    Seen seen;
    const auto client =
        connect(loop, "wss://localhost:" + std::to_string(server.port()), certificate.path(), seen);
    ASSERT_TRUE(loop.run_until([&] { return seen.open || seen.closed; }, seconds(30)));
    ASSERT_TRUE(seen.open) << *seen.closed;
    client->send_text("hello");
    ASSERT_TRUE(loop.run_until([&] { return seen.text == "hello"; }, seconds(30)));
    client->close();
    ASSERT_TRUE(loop.run_until([&] { return seen.closed.has_value(); }, seconds(30)));
    EXPECT_EQ(*seen.closed, "closed");
}

TEST(WebSocketClient, RefusesACertificateOfSomebodyElse) {
    const TestCertificate certificate("other.example");
    for (const bool trusted : {true, false}) {
        TlsEchoServer server(certificate.path());
        EventLoop loop;
        Seen seen;
        const auto client = connect(loop, "wss://localhost:" + std::to_string(server.port()),
                                    trusted ? certificate.path() : "", seen);
        ASSERT_TRUE(loop.run_until([&] { return seen.open || seen.closed; }, seconds(30)));
        EXPECT_FALSE(seen.open);
        EXPECT_NE(seen.closed->find("certificate verify failed"), std::string::npos)
            << *seen.closed;
    }
}

TEST(WebSocketClient, GivesUpOnAServerThatSaysNothing) {
    asio::io_context context;
    Tcp::acceptor silent(context, {asio::ip::address_v4::loopback(), 0});
    EventLoop loop;
    Seen seen;
    const auto client =
        connect(loop, "ws://127.0.0.1:" + std::to_string(silent.local_endpoint().port()), "", seen,
                milliseconds(50));
    ASSERT_TRUE(loop.run_until([&] { return seen.closed.has_value(); }, seconds(30)));
    EXPECT_EQ(*seen.closed, "it takes too long");
    EXPECT_FALSE(seen.open);
}

TEST(WebSocketClient, SaysNothingAfterItIsDestroyed) {
    asio::io_context context;
    Tcp::acceptor silent(context, {asio::ip::address_v4::loopback(), 0});
    EventLoop loop;
    Seen seen;
    auto client =
        connect(loop, "ws://127.0.0.1:" + std::to_string(silent.local_endpoint().port()), "", seen);
    client.reset();
    loop.run_until([] { return false; }, milliseconds(20));
    EXPECT_FALSE(seen.closed);
}

struct CountingObserver : SignalingObserver {
    void on_signal(const std::string&, const SignalData&) override {}
    void on_disconnected(const std::string& reason) override { reasons.push_back(reason); }
    std::vector<std::string> reasons;
};

TEST(SignalingClient, TellsADeadFrontOnceAndNotForEachAttempt) {
    // A port that was free a moment ago, where nobody listens.
    std::uint16_t port = 0;
    {
        asio::io_context context;
        port =
            Tcp::acceptor(context, {asio::ip::address_v4::loopback(), 0}).local_endpoint().port();
    }
    EventLoop loop;
    ManualClock clock;
    SeededRandom random(1);
    CountingObserver observer;
    SignalingClientOptions options;
    options.url = "ws://127.0.0.1:" + std::to_string(port) + "/signaling";
    options.id = "w";
    options.worker_url = "http://127.0.0.1:1";
    options.back_off_base = milliseconds(1);
    options.back_off_limit = milliseconds(1);
    const auto client = SignalingClient::start(loop, clock, random, options, observer);
    ASSERT_TRUE(client.ok());
    ASSERT_TRUE(loop.run_until([&] { return !observer.reasons.empty(); }, seconds(30)));
    loop.run_until([] { return false; }, milliseconds(50));
    EXPECT_EQ(observer.reasons.size(), 1u);
    EXPECT_FALSE((*client)->registered());
    EXPECT_FALSE((*client)->send_signal("x", make_offer("v=0")));
}

TEST(SignalingClient, RefusesOptionsThatCannotWork) {
    EventLoop loop;
    ManualClock clock;
    SeededRandom random(1);
    CountingObserver observer;
    SignalingClientOptions good;
    good.url = "ws://127.0.0.1:1/signaling";
    good.id = "w";
    good.worker_url = "http://127.0.0.1:1";
    const auto starts = [&](const SignalingClientOptions& options) {
        return SignalingClient::start(loop, clock, random, options, observer).ok();
    };
    EXPECT_TRUE(starts(good));
    for (const auto& spoil : std::vector<std::function<void(SignalingClientOptions&)>>{
             [](auto& options) { options.url = "nonsense"; },
             [](auto& options) { options.id = "a:b"; },
             [](auto& options) { options.worker_url = "host:8081"; },
             [](auto& options) { options.role = SignalingRole::kClient; }}) {
        SignalingClientOptions options = good;
        spoil(options);
        EXPECT_FALSE(starts(options));
    }
}

}  // namespace
}  // namespace kollator::signaling
