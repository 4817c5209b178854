#include "http/http_server.h"

#include <gtest/gtest.h>

#include <atomic>

#include "base/metrics.h"
#include "tests/support/loop_thread.h"
#include "tests/support/raw_http_client.h"

namespace kollator::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::LoopThread;
using testing::RawHttpClient;
using testing::RawResponse;

const std::string kBigText(8 * 1024 * 1024, 'x');

class HttpServerTest : public ::testing::Test {
 protected:
    void TearDown() override {
        thread_.run([&] {
            server_.reset();
            kept_.clear();
        });
    }

    void start(HttpServerOptions options = {}) {
        options.bind_address = "127.0.0.1";
        options.metrics = &metrics_;
        thread_.run([&] {
            auto listened = HttpServer::listen(thread_.loop(), options);
            ASSERT_TRUE(listened.ok()) << listened.error().detail;
            server_ = *std::move(listened);
            add_routes();
        });
        port_ = server_->port();
    }

    void add_routes() {
        server_->route("GET", "/hello/{name}", [](const Request& request, const Responder& answer) {
            answer.send(text_response(200, "hello " + std::string(request.param("name"))));
        });
        const Handler echo = [](const Request& request, const Responder& answer) {
            answer.send(text_response(200, std::string(request.body)));
        };
        server_->route("POST", "/echo", echo);
        server_->route("POST", "/open", echo, {.cors = true, .max_body_bytes = 1024});
        server_->route("GET", "/big", [](const Request&, const Responder& answer) {
            Response response;
            response.body =
                std::span(reinterpret_cast<const std::uint8_t*>(kBigText.data()), kBigText.size());
            answer.send(std::move(response));
        });
        server_->route("GET", "/page", [](const Request&, const Responder& answer) {
            Response response = text_response(200, "<p>hi</p>");
            response.content_type = "text/html; charset=utf-8";
            response.headers.emplace_back("X-Split", "a\r\nInjected: yes");
            answer.send(std::move(response));
        });
        server_->route("GET", "/whose", [](const Request& request, const Responder& answer) {
            answer.send(text_response(200, request.remote_address));
        });
        server_->route("GET", "/forget", [](const Request&, const Responder&) {});
        server_->route("GET", "/later", [this](const Request&, const Responder& answer) {
            kept_.push_back(answer);
            ++waiting_;
        });
    }

    void wait_for_later(int count) {
        const auto deadline = std::chrono::steady_clock::now() + seconds(20);
        while (waiting_ < count && std::chrono::steady_clock::now() < deadline) {
            std::this_thread::yield();
        }
        ASSERT_GE(waiting_, count);
    }

    MetricsRegistry metrics_;
    LoopThread thread_;
    std::unique_ptr<HttpServer> server_;
    std::uint16_t port_ = 0;
    std::vector<Responder> kept_;  // loop thread
    std::atomic<int> waiting_{0};
};

TEST_F(HttpServerTest, ServesOneRequestAfterTheOtherOnOneConnection) {
    start();
    RawHttpClient client(port_);
    for (const char* name : {"a", "b%20c"}) {
        const RawResponse response = client.exchange("GET", std::string("/hello/") + name);
        EXPECT_EQ(response.status, 200);
        EXPECT_EQ(response.header("x-content-type-options"), "nosniff");
        EXPECT_NE(response.header("date"), "");
    }
    EXPECT_EQ(client.exchange("POST", "/echo", "body").body, "body");
    EXPECT_EQ(metrics_.counter("kollator_http_requests_total", "", {{"status", "2xx"}}).value(), 3);
}

TEST_F(HttpServerTest, BelievesATrustedProxyWhoseARequestIs) {
    constexpr const char* kForwarded =
        "X-Forwarded-For: 6.6.6.6\r\nx-forwarded-for: 198.51.100.1\r\n";
    start();
    EXPECT_EQ(RawHttpClient(port_).exchange("GET", "/whose", "", kForwarded).body, "127.0.0.1");
    HttpServerOptions options;
    options.trusted_proxies = {"127.0.0.0/8"};
    start(options);
    EXPECT_EQ(RawHttpClient(port_).exchange("GET", "/whose", "", kForwarded).body, "198.51.100.1");
    EXPECT_EQ(RawHttpClient(port_).exchange("GET", "/whose").body, "127.0.0.1");
}

TEST_F(HttpServerTest, AnswersPipelinedRequestsInOrderEvenWhenTheFirstIsAnsweredLater) {
    start();
    RawHttpClient client(port_);
    client.send(
        "GET /later HTTP/1.1\r\nHost: x\r\n\r\nPOST /echo HTTP/1.1\r\nHost: x\r\n"
        "Content-Length: 3\r\n\r\nabcGET /hello/z HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for_later(1);
    thread_.run([&] { kept_[0].send(text_response(202, "late")); });
    EXPECT_EQ(client.read_response().body, "late");
    EXPECT_EQ(client.read_response().body, "abc");
    EXPECT_EQ(client.read_response().body, "hello z");
}

TEST_F(HttpServerTest, ClosesAfterTheAnswerWhereTheClientWantsIt) {
    start();
    RawHttpClient client(port_);
    EXPECT_EQ(client.exchange("GET", "/hello/a", "", "Connection: close\r\n").status, 200);
    EXPECT_TRUE(client.at_end());
    RawHttpClient old(port_);
    old.send("GET /hello/a HTTP/1.0\r\n\r\n");
    EXPECT_EQ(old.read_response().status, 200);
    EXPECT_TRUE(old.at_end());
}

TEST_F(HttpServerTest, HeadHasTheLengthAndNoBody) {
    start();
    RawHttpClient client(port_);
    const RawResponse response = client.exchange("HEAD", "/hello/a");
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.header("content-length"), "7");
    EXPECT_EQ(client.exchange("GET", "/hello/a").body, "hello a");
}

TEST_F(HttpServerTest, SaysWhatIsNotThereAndWhichMethodsAre) {
    start();
    RawHttpClient client(port_);
    const RawResponse missing = client.exchange("GET", "/nothing");
    EXPECT_EQ(missing.status, 404);
    EXPECT_NE(missing.body.find("\"not-found\""), std::string::npos);
    const RawResponse wrong = client.exchange("DELETE", "/hello/a");
    EXPECT_EQ(wrong.status, 405);
    EXPECT_EQ(wrong.header("allow"), "GET, HEAD, OPTIONS");
    EXPECT_EQ(wrong.header("access-control-allow-origin"), "");
    const RawResponse options = client.exchange("OPTIONS", "/echo");
    EXPECT_EQ(options.status, 204);
    EXPECT_EQ(options.header("allow"), "POST, OPTIONS");
}

TEST_F(HttpServerTest, AnswersACorsPreflightOnlyWhereTheRouteAllowsIt) {
    start();
    RawHttpClient client(port_);
    const std::string preflight =
        "Origin: https://a.example\r\nAccess-Control-Request-Method: POST\r\n"
        "Access-Control-Request-Private-Network: true\r\n";
    const RawResponse open = client.exchange("OPTIONS", "/open", "", preflight);
    EXPECT_EQ(open.status, 204);
    EXPECT_EQ(open.header("access-control-allow-origin"), "*");
    EXPECT_EQ(open.header("access-control-allow-methods"), "POST, OPTIONS");
    EXPECT_EQ(open.header("access-control-allow-headers"), "Content-Type, Accept");
    EXPECT_EQ(open.header("access-control-allow-private-network"), "true");
    const RawResponse closed = client.exchange("OPTIONS", "/echo", "", preflight);
    EXPECT_EQ(closed.header("access-control-allow-origin"), "");
    EXPECT_EQ(closed.header("access-control-allow-methods"), "");
    const RawResponse error =
        client.exchange("POST", "/open", std::string(2000, 'x'), "Origin: https://a.example\r\n");
    EXPECT_EQ(error.status, 413);
    EXPECT_EQ(error.header("access-control-allow-origin"), "*");
}

TEST_F(HttpServerTest, RefusesWhatIsMalformed) {
    start();
    for (const char* text :
         {"\x16\x03\x01 GET\r\n\r\n", "GET /hello/a\r\n\r\n", "GET /hello/a HTTP/1.1\r\n\r\n",
          "GET /hello/a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
          "GET /hello/a HTTP/9.9\r\nHost: a\r\n\r\n", "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n",
          "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n",
          "GET hello HTTP/1.1\r\nHost: a\r\n\r\n",
          "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
          "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: "
          "chunked\r\n\r\n0\r\n\r\n",
          "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"}) {
        RawHttpClient client(port_);
        client.send(text);
        EXPECT_EQ(client.read_response().status, 400) << text;
        EXPECT_TRUE(client.at_end()) << text;
    }
}

TEST_F(HttpServerTest, RefusesABodyOverTheLimitWithoutReadingIt) {
    start();
    RawHttpClient client(port_);
    client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n");
    EXPECT_EQ(client.read_response().status, 413);
    RawHttpClient chunked(port_);
    chunked.send("POST /open HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    const std::string piece = "200\r\n" + std::string(512, 'x') + "\r\n";
    chunked.send(piece + piece + piece);
    EXPECT_EQ(chunked.read_response().status, 413);
    RawHttpClient fits(port_);
    const std::string all(kDefaultMaxBodyBytes, 'y');
    EXPECT_EQ(fits.exchange("POST", "/echo", all).body, all);
}

TEST_F(HttpServerTest, TakesAChunkedBodyAndSays100ContinueWhereAsked) {
    start();
    RawHttpClient client(port_);
    client.send(
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        "Expect: 100-continue\r\n\r\n");
    EXPECT_EQ(client.read_response(false).status, 100);
    client.send("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    EXPECT_EQ(client.read_response().body, "abcde");
}

TEST_F(HttpServerTest, RefusesAHeaderOverTheLimit) {
    start();
    RawHttpClient client(port_);
    client.send("GET /hello/a HTTP/1.1\r\nHost: x\r\nX: " + std::string(20'000, 'h') + "\r\n\r\n");
    EXPECT_EQ(client.read_response().status, 431);
}

TEST_F(HttpServerTest, EndsAClientThatSendsTooSlowly) {
    start({.header_timeout = milliseconds(50), .body_timeout = milliseconds(50)});
    RawHttpClient silent(port_);
    EXPECT_TRUE(silent.at_end());
    RawHttpClient header(port_);
    header.send("GET /hello/a HT");
    EXPECT_EQ(header.read_response().status, 408);
    EXPECT_TRUE(header.at_end());
    RawHttpClient body(port_);
    body.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
    EXPECT_EQ(body.read_response().status, 408);
}

TEST_F(HttpServerTest, EndsAClientThatDoesNotTakeItsAnswer) {
    start({.write_timeout = milliseconds(50)});
    RawHttpClient client(port_, 4096);
    client.request("GET", "/big");
    const auto deadline = std::chrono::steady_clock::now() + seconds(20);
    std::size_t open = 1;
    while (open > 0 && std::chrono::steady_clock::now() < deadline) {
        thread_.run([&] { open = server_->connections(); });
    }
    EXPECT_EQ(open, 0u);
}

TEST_F(HttpServerTest, EndsAnIdleConnection) {
    start({.idle_timeout = milliseconds(50)});
    RawHttpClient client(port_);
    EXPECT_EQ(client.exchange("GET", "/hello/a").status, 200);
    EXPECT_TRUE(client.at_end());
}

TEST_F(HttpServerTest, RefusesConnectionsOverItsLimit) {
    start({.max_connections = 1});
    RawHttpClient first(port_);
    EXPECT_EQ(first.exchange("GET", "/hello/a").status, 200);
    RawHttpClient second(port_);
    EXPECT_EQ(second.read_response().status, 503);
    EXPECT_EQ(first.exchange("GET", "/hello/a").status, 200);
}

TEST_F(HttpServerTest, AnswersForAHandlerThatForgetsOrIsTooSlow) {
    start({.handler_timeout = milliseconds(50)});
    RawHttpClient client(port_);
    EXPECT_EQ(client.exchange("GET", "/forget").status, 500);
    EXPECT_EQ(client.exchange("GET", "/later").status, 504);
    // Too late, for a request that is over: the next one must not get it.
    client.request("GET", "/later");
    wait_for_later(2);
    thread_.run([&] { kept_[0].send(text_response(200, "for the first")); });
    EXPECT_EQ(client.read_response().status, 504);
}

TEST_F(HttpServerTest, ALateAnswerToADeadConnectionIsHarmless) {
    start();
    auto client = std::make_unique<RawHttpClient>(port_);
    client->request("GET", "/later");
    wait_for_later(1);
    client.reset();
    thread_.run([&] { kept_[0].send(text_response(200, kBigText)); });
    RawHttpClient other(port_);
    EXPECT_EQ(other.exchange("GET", "/hello/a").status, 200);
}

TEST_F(HttpServerTest, ALateAnswerToADeadServerIsHarmless) {
    start();
    RawHttpClient client(port_);
    client.request("GET", "/later");
    wait_for_later(1);
    thread_.run([&] { server_.reset(); });
    thread_.run([&] { kept_[0].send(text_response(200, "x")); });
    EXPECT_TRUE(client.at_end());
}

TEST_F(HttpServerTest, AStopLetsWhatIsUnderWayFinish) {
    start();
    RawHttpClient idle(port_);
    EXPECT_EQ(idle.exchange("GET", "/hello/a").status, 200);
    RawHttpClient busy(port_);
    busy.request("GET", "/later");
    wait_for_later(1);
    std::promise<void> stopped;
    thread_.run([&] { server_->stop(seconds(60), [&] { stopped.set_value(); }); });
    EXPECT_TRUE(idle.at_end());
    EXPECT_FALSE(RawHttpClient(port_).connected());
    thread_.run([&] { kept_[0].send(text_response(200, "done")); });
    const RawResponse response = busy.read_response();
    EXPECT_EQ(response.body, "done");
    EXPECT_EQ(response.header("connection"), "close");
    busy.close();
    EXPECT_EQ(stopped.get_future().wait_for(seconds(20)), std::future_status::ready);
}

TEST_F(HttpServerTest, AStopCutsAtItsDeadline) {
    start();
    RawHttpClient busy(port_);
    busy.request("GET", "/later");
    wait_for_later(1);
    std::promise<void> stopped;
    thread_.run([&] { server_->stop(milliseconds(20), [&] { stopped.set_value(); }); });
    EXPECT_EQ(stopped.get_future().wait_for(seconds(20)), std::future_status::ready);
    EXPECT_TRUE(busy.at_end());
}

TEST_F(HttpServerTest, GivesPagesAPolicyAndNobodyASecondHeader) {
    start();
    RawHttpClient client(port_);
    const RawResponse page = client.exchange("GET", "/page");
    EXPECT_EQ(page.header("content-security-policy").find("default-src 'self';"), 0U);
    EXPECT_EQ(page.header("injected"), "");
    EXPECT_EQ(client.exchange("GET", "/hello/a").header("content-security-policy"), "");
}

TEST_F(HttpServerTest, SendsALargeAnswerWhole) {
    start();
    RawHttpClient client(port_);
    EXPECT_EQ(client.exchange("GET", "/big").body, kBigText);
}

TEST(HttpServerListen, SaysWhyItCannot) {
    EventLoop loop;
    auto first = HttpServer::listen(loop, {.bind_address = "127.0.0.1"});
    ASSERT_TRUE(first.ok());
    const auto taken =
        HttpServer::listen(loop, {.bind_address = "127.0.0.1", .port = (*first)->port()});
    ASSERT_FALSE(taken.ok());
    EXPECT_EQ(taken.error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(HttpServer::listen(loop, {.bind_address = "example"}).error().code,
              ErrorCode::kInvalid);
}

}  // namespace
}  // namespace kollator::http
