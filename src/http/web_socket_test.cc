#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>
#include <optional>

#include "http/http_server.h"
#include "tests/support/loop_thread.h"
#include "tests/support/raw_http_client.h"

namespace kollator::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::LoopThread;
using testing::RawHttpClient;

/// A blocking client. Its reads end when the server ends the connection.
class Client {
 public:
    Client(std::uint16_t port, const std::string& path) {
        beast::error_code error;
        stream_.next_layer().connect({asio::ip::address_v4::loopback(), port}, error);
        const timeval timeout{.tv_sec = 20, .tv_usec = 0};
        ::setsockopt(stream_.next_layer().native_handle(), SOL_SOCKET, SO_RCVTIMEO, &timeout,
                     sizeof timeout);
        stream_.handshake("localhost", path, error_);
    }
    bool open() const { return !error_; }
    bool send(const std::string& text, bool is_text = true) {
        beast::error_code error;
        stream_.text(is_text);
        stream_.write(asio::buffer(text), error);
        return !error;
    }
    /// Empty when the connection ended.
    std::optional<std::string> read() {
        beast::flat_buffer buffer;
        beast::error_code error;
        stream_.read(buffer, error);
        if (error) return std::nullopt;
        return beast::buffers_to_string(buffer.data());
    }
    int close_code() const { return stream_.reason().code; }
    void close() {
        beast::error_code error;
        stream_.close(websocket::close_code::normal, error);
    }
    void cut() { stream_.next_layer().close(); }

 private:
    asio::io_context context_;
    websocket::stream<asio::ip::tcp::socket> stream_{context_};
    beast::error_code error_;
};

struct Seen {
    std::atomic<int> closes{0};
    std::atomic<int> close_code{0};
};

/// Answers each text with the same; "flood" with more than any queue takes, "bye" with a close.
class Echo final : public WebSocketObserver {
 public:
    Echo(std::shared_ptr<WebSocketPeer> peer, Seen& seen) : peer_(std::move(peer)), seen_(seen) {}
    void on_text(std::string_view text) override {
        if (text == "flood") {
            for (int i = 0; i < 4096; ++i) peer_->send_text(std::string(64 * 1024, 'f'));
        } else if (text == "bye") {
            peer_->send_text("last");
            peer_->close(kCloseNormal, std::string(500, 'r'));
            peer_->send_text("never");
        } else {
            peer_->send_text(std::string(text));
        }
    }
    void on_close(std::uint16_t code, const std::string&) override {
        seen_.close_code = code;
        ++seen_.closes;
    }

 private:
    std::shared_ptr<WebSocketPeer> peer_;
    Seen& seen_;
};

class WebSocketTest : public ::testing::Test {
 protected:
    void SetUp() override {
        thread_.run([&] {
            server_ = *HttpServer::listen(thread_.loop(), {.bind_address = "127.0.0.1"});
            server_->web_socket("/echo",
                                [this](const Request&, std::shared_ptr<WebSocketPeer> peer) {
                                    return std::make_unique<Echo>(std::move(peer), seen_);
                                });
            server_->web_socket("/impatient",
                                [this](const Request&, std::shared_ptr<WebSocketPeer> peer) {
                                    return std::make_unique<Echo>(std::move(peer), seen_);
                                },
                                {.idle_timeout = milliseconds(50)});
            server_->web_socket(
                "/refuse", [](const Request&, std::shared_ptr<WebSocketPeer>) { return nullptr; });
        });
        port_ = server_->port();
    }
    void TearDown() override {
        thread_.run([&] { server_.reset(); });
    }
    void wait_for_close() {
        const auto deadline = std::chrono::steady_clock::now() + seconds(20);
        while (seen_.closes == 0 && std::chrono::steady_clock::now() < deadline) {
            std::this_thread::sleep_for(milliseconds(1));
        }
        ASSERT_EQ(seen_.closes, 1);
    }

    LoopThread thread_;
    Seen seen_;
    std::unique_ptr<HttpServer> server_;
    std::uint16_t port_ = 0;
};

TEST_F(WebSocketTest, EchoesAndTellsANormalClose) {
    Client client(port_, "/echo");
    ASSERT_TRUE(client.open());
    for (const std::string text : {"one", "two", ""}) {
        ASSERT_TRUE(client.send(text));
        EXPECT_EQ(client.read(), text);
    }
    const std::string longest(64 * 1024, 'x');
    client.send(longest);
    EXPECT_EQ(client.read(), longest);
    client.close();
    wait_for_close();
    EXPECT_EQ(seen_.close_code, kCloseNormal);
}

TEST_F(WebSocketTest, SendsWhatIsQueuedBeforeItCloses) {
    Client client(port_, "/echo");
    client.send("bye");
    EXPECT_EQ(client.read(), "last");
    EXPECT_EQ(client.read(), std::nullopt);
    EXPECT_EQ(client.close_code(), kCloseNormal);
    wait_for_close();
}

TEST_F(WebSocketTest, RefusesBinaryFrames) {
    Client client(port_, "/echo");
    client.send("binary", false);
    EXPECT_EQ(client.read(), std::nullopt);
    EXPECT_EQ(client.close_code(), kCloseUnsupportedData);
    wait_for_close();
}

TEST_F(WebSocketTest, RefusesAMessageOverItsLimit) {
    Client client(port_, "/echo");
    client.send(std::string(64 * 1024 + 1, 'x'));
    EXPECT_EQ(client.read(), std::nullopt);
    EXPECT_EQ(client.close_code(), 1009);
    wait_for_close();
}

TEST_F(WebSocketTest, CutsAPeerThatDoesNotReadWhatItIsSent) {
    Client client(port_, "/echo");
    client.send("flood");
    wait_for_close();
    EXPECT_EQ(seen_.close_code, kCloseAbnormal);
}

TEST_F(WebSocketTest, NoticesAConnectionThatIsGone) {
    Client client(port_, "/echo");
    client.send("a");
    EXPECT_EQ(client.read(), "a");
    client.cut();
    wait_for_close();
    EXPECT_EQ(seen_.close_code, kCloseAbnormal);
}

TEST_F(WebSocketTest, CutsAPeerThatAnswersNoPing) {
    Client client(port_, "/impatient");
    ASSERT_TRUE(client.open());
    wait_for_close();  // the client answers pings only while it reads
}

TEST_F(WebSocketTest, ARefusedConnectionIsClosedByPolicy) {
    Client client(port_, "/refuse");
    EXPECT_EQ(client.read(), std::nullopt);
    EXPECT_EQ(client.close_code(), kClosePolicy);
}

TEST_F(WebSocketTest, AStoppingServerSaysItGoesAway) {
    Client client(port_, "/echo");
    client.send("a");
    EXPECT_EQ(client.read(), "a");
    std::promise<void> stopped;
    thread_.run([&] { server_->stop(seconds(60), [&] { stopped.set_value(); }); });
    EXPECT_EQ(client.read(), std::nullopt);
    EXPECT_EQ(client.close_code(), kCloseGoingAway);
    EXPECT_EQ(stopped.get_future().wait_for(seconds(20)), std::future_status::ready);
}

TEST_F(WebSocketTest, APlainRequestIsToldToUpgrade) {
    RawHttpClient client(port_);
    EXPECT_EQ(client.exchange("GET", "/echo").status, 426);
    RawHttpClient post(port_);
    EXPECT_EQ(post.exchange("POST", "/echo", "x").status, 405);
}

}  // namespace
}  // namespace kollator::http
