#include "front/front.h"

#include <gtest/gtest.h>

#include <future>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/log.h"
#include "signaling/signaling_client.h"
#include "signaling/web_socket_client.h"
#include "signaling/worker_token.h"
#include "tests/support/raw_http_client.h"

namespace kollator::front {
namespace {

using namespace signaling;
using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::RawHttpClient;
using testing::RawResponse;

constexpr Duration kDeadline = seconds(30);
const Bytes kKey(32, 9);
constexpr std::uint8_t kPage[] = {'<', 'p', '>'};
constexpr std::uint8_t kScript[] = {'1', ';'};
const WebAsset kAssets[] = {{"/index.html", "text/html; charset=utf-8", kPage, "\"p1\""},
                            {"/app.js", "text/javascript; charset=utf-8", kScript, "\"s1\""}};

/// A connection that says exactly what it is told.
struct RawSide {
    std::unique_ptr<WebSocketClient> socket;
    bool open = false;
    std::vector<std::string> texts;
    std::optional<std::string> closed;
};

struct Recorder : SignalingObserver {
    void on_registered(const std::string& the_id) override {
        id = the_id;
        ++registrations;
    }
    void on_signal(const std::string& from, const SignalData& data) override {
        signals.emplace_back(from, data);
    }
    void on_error(const ErrorMessage& error) override { errors.push_back(error); }
    void on_disconnected(const std::string& reason) override { losses.push_back(reason); }
    WorkerStatus status() override { return current; }

    std::string id;
    int registrations = 0;
    std::vector<std::pair<std::string, SignalData>> signals;
    std::vector<ErrorMessage> errors;
    std::vector<std::string> losses;
    WorkerStatus current{3, 1234, false};
};

class FrontTest : public ::testing::Test {
 protected:
    void SetUp() override { start(0); }

    void start(std::uint16_t port) {
        FrontOptions options;
        options.bind_address = "127.0.0.1";
        options.port = port;
        options.shared_key = kKey;
        options.assets = kAssets;
        options.ice_servers = {{{"stun:s.example:3478"}, "", ""},
                               {{"turn:t.example"}, "user", "secret"}};
        options.turn_secret = turn_secret_;
        options.trusted_proxies = {"127.0.0.1"};
        auto made = make_front(loop_, clock_, random_, std::move(options));
        ASSERT_TRUE(made.ok()) << made.error().detail;
        front_ = *std::move(made);
        port_ = front_->port();
    }

    std::string url() const { return "ws://127.0.0.1:" + std::to_string(port_) + "/signaling"; }
    bool until(const std::function<bool()>& done) { return loop_.run_until(done, kDeadline); }

    /// One HTTP exchange by a client on a thread of its own, while the loop runs here.
    RawResponse fetch(const std::string& method, const std::string& target,
                      const std::string& headers = "") {
        auto answer = std::async(std::launch::async, [&] {
            return RawHttpClient(port_).exchange(method, target, "", headers);
        });
        until([&] { return answer.wait_for(seconds(0)) == std::future_status::ready; });
        return answer.get();
    }

    std::unique_ptr<RawSide> raw() {
        auto side = std::make_unique<RawSide>();
        WebSocketClientOptions options;
        options.url = *parse_web_socket_url(url());
        side->socket = std::make_unique<WebSocketClient>(
            loop_, options,
            WebSocketClientCallbacks{
                [s = side.get()] { s->open = true; },
                [s = side.get()](std::string_view text) { s->texts.emplace_back(text); },
                [s = side.get()](const std::string& reason) { s->closed = reason; }});
        EXPECT_TRUE(until([&] { return side->open; }));
        return side;
    }

    RegisterWorker registration(const std::string& id) {
        ++stamp_;
        return {id, stamp_, make_worker_token(kKey, id, stamp_), "http://" + id + ":8081", 100};
    }

    /// What the front says to a registration; the connection ends where it is refused.
    std::string answer_to(const std::string& text) {
        const auto side = raw();
        side->socket->send_text(text);
        until([&] { return !side->texts.empty() || side->closed; });
        if (side->texts.empty()) return "closed " + *side->closed;
        if (side->texts[0].find("\"error\"") != std::string::npos) {
            EXPECT_TRUE(until([&] { return side->closed.has_value(); }));
        }
        return side->texts[0];
    }

    std::unique_ptr<SignalingClient> connect(Recorder& recorder, SignalingClientOptions options) {
        options.url = url();
        options.back_off_base = milliseconds(1);
        options.back_off_limit = milliseconds(20);
        options.status_interval = milliseconds(5);
        return *SignalingClient::start(loop_, clock_, random_, std::move(options), recorder);
    }
    std::unique_ptr<SignalingClient> connect_worker(Recorder& recorder, const std::string& id) {
        SignalingClientOptions options;
        options.id = id;
        options.shared_key = kKey;
        options.worker_url = "http://" + id + ":8081";
        options.capacity = 100;
        return connect(recorder, std::move(options));
    }
    std::unique_ptr<SignalingClient> connect_client(Recorder& recorder) {
        SignalingClientOptions options;
        options.role = SignalingRole::kClient;
        return connect(recorder, std::move(options));
    }

    EventLoop loop_;
    ManualClock clock_;
    SeededRandom random_{11};
    std::uint64_t stamp_ = 1'763'800'000;
    std::string turn_secret_;
    std::uint16_t port_ = 0;
    std::unique_ptr<Front> front_;
};

TEST_F(FrontTest, RelaysBetweenTwoClientsAndAWorker) {
    Recorder worker;
    Recorder one;
    Recorder two;
    const auto worker_side = connect_worker(worker, "worker-001");
    const auto one_side = connect_client(one);
    const auto two_side = connect_client(two);
    ASSERT_TRUE(until([&] {
        return worker.registrations == 1 && one.registrations == 1 && two.registrations == 1;
    }));
    EXPECT_EQ(worker.id, "worker-001");
    EXPECT_NE(one.id, two.id);

    EXPECT_TRUE(one_side->send_signal("worker-001", make_offer("offer of one")));
    EXPECT_TRUE(two_side->send_signal("worker-001", make_offer("offer of two")));
    ASSERT_TRUE(until([&] { return worker.signals.size() == 2; }));
    for (const auto& [from, data] : worker.signals) {
        EXPECT_EQ(data.sdp, from == one.id ? "offer of one" : "offer of two");
        worker_side->send_signal(from, make_answer("answer to " + data.sdp));
        worker_side->send_signal(from, make_candidate("candidate:1"));
    }
    ASSERT_TRUE(until([&] { return one.signals.size() == 2 && two.signals.size() == 2; }));
    EXPECT_EQ(one.signals[0].first, "worker-001");
    EXPECT_EQ(one.signals[0].second.sdp, "answer to offer of one");
    EXPECT_EQ(two.signals[0].second.sdp, "answer to offer of two");
    EXPECT_EQ(two.signals[1].second.candidate, "candidate:1");
}

TEST_F(FrontTest, TellsTheSenderWhenTheReceiverIsGone) {
    Recorder client;
    const auto side = connect_client(client);
    ASSERT_TRUE(until([&] { return client.registrations == 1; }));
    side->send_signal("worker-404", make_offer("v=0"));
    ASSERT_TRUE(until([&] { return client.errors.size() == 1; }));
    EXPECT_EQ(client.errors[0].code, "no-such-peer");
    EXPECT_EQ(client.errors[0].to, "worker-404");
}

TEST_F(FrontTest, RefusesWorkersThatCannotProveThatTheyKnowTheKey) {
    EXPECT_NE(answer_to(encode_message(registration("good"))).find("\"registered\""),
              std::string::npos);
    RegisterWorker wrong = registration("w");
    wrong.token.back() = wrong.token.back() == '0' ? '1' : '0';
    RegisterWorker stale = registration("w");
    stale.timestamp_s -= 3600;
    stale.token = make_worker_token(kKey, "w", stale.timestamp_s);
    RegisterWorker other = registration("w");
    other.id = "v";
    for (const RegisterWorker& bad : {wrong, stale, other}) {
        EXPECT_NE(answer_to(encode_message(bad)).find("\"unauthorized\""), std::string::npos);
    }
    const std::string once = encode_message(registration("w"));
    EXPECT_NE(answer_to(once).find("\"registered\""), std::string::npos);
    EXPECT_NE(answer_to(once).find("\"unauthorized\""), std::string::npos);
    EXPECT_NE(answer_to(std::string(kMaxMessageBytes + 1, ' ')).find("closed"), std::string::npos);
}

TEST_F(FrontTest, TakesASilentWorkerOutOfThePoolAfterTheTimeoutAndTheGrace) {
    const auto side = raw();
    side->socket->send_text(encode_message(registration("w")));
    ASSERT_TRUE(until([&] { return front_->living_workers() == 1; }));
    clock_.advance(seconds(2));
    EXPECT_EQ(front_->living_workers(), 1u);
    clock_.advance(milliseconds(1));
    EXPECT_EQ(front_->living_workers(), 0u);
    EXPECT_EQ(fetch("GET", "/workers").body, "[]");
    EXPECT_EQ(fetch("POST", "/bootstrap").status, 503);
    side->socket->send_text(encode_message(WorkerStatus{7, 8, false}));
    ASSERT_TRUE(until([&] { return front_->living_workers() == 1; }));
    const json list = json::parse(fetch("GET", "/workers").body);
    EXPECT_EQ(list.at(0).at("connections"), 7);
    EXPECT_EQ(list.at(0).at("capacity"), 100);
    EXPECT_EQ(list.at(0).at("url"), "http://w:8081");
    EXPECT_EQ(list.at(0).at("lastSeen"), 1'763'800'002'001);
    side->socket->close();
    EXPECT_TRUE(until([&] { return front_->living_workers() == 0; }));
}

TEST_F(FrontTest, SpreadsTheClientsOfAProxy) {
    Recorder a;
    Recorder b;
    const auto a_side = connect_worker(a, "a");
    const auto b_side = connect_worker(b, "b");
    ASSERT_TRUE(until([&] { return front_->living_workers() == 2; }));
    std::set<std::string> chosen;
    for (int client = 1; client <= 20; ++client) {
        const std::string from = "X-Forwarded-For: 198.51.100." + std::to_string(client) + "\r\n";
        chosen.insert(json::parse(fetch("POST", "/bootstrap", from).body).at("worker").at("id"));
    }
    EXPECT_EQ(chosen.size(), 2u);
}

TEST_F(FrontTest, LeavesADrainingWorkerOut) {
    Recorder a;
    Recorder b;
    const auto a_side = connect_worker(a, "a");
    const auto b_side = connect_worker(b, "b");
    ASSERT_TRUE(until([&] { return front_->living_workers() == 2; }));
    const auto chosen = [&] {
        return json::parse(fetch("POST", "/bootstrap").body).at("worker").at("id");
    };
    const std::string first = chosen();
    EXPECT_EQ(chosen(), first);
    (first == "a" ? a : b).current.draining = true;
    (first == "a" ? a_side : b_side)->send_status();
    ASSERT_TRUE(until([&] { return chosen() != first; }));
    EXPECT_EQ(front_->living_workers(), 2u);
}

TEST_F(FrontTest, BootstrapTellsTheWorkerTheWayAndTheIceServers) {
    const RawResponse none = fetch("POST", "/bootstrap", "Origin: http://a\r\n");
    EXPECT_EQ(none.status, 503);
    EXPECT_EQ(none.header("retry-after"), "2");
    EXPECT_EQ(none.header("access-control-allow-origin"), "*");
    EXPECT_NE(none.body.find("\"no-worker\""), std::string::npos);
    Recorder worker;
    const auto side = connect_worker(worker, "w");
    ASSERT_TRUE(until([&] { return front_->living_workers() == 1; }));
    const json answer = json::parse(fetch("POST", "/bootstrap").body);
    EXPECT_EQ(answer.at("worker"), (json{{"id", "w"}, {"url", "http://w:8081"}}));
    EXPECT_TRUE(answer.at("alternatives").empty());
    EXPECT_EQ(answer.at("signaling"), "ws://localhost/signaling");
    EXPECT_EQ(answer.at("iceServers").at(0), (json{{"urls", {"stun:s.example:3478"}}}));
    EXPECT_EQ(answer.at("iceServers").at(1).at("credential"), "secret");
    EXPECT_EQ(json::parse(fetch("POST", "/bootstrap", "X-Forwarded-Proto: https\r\n").body)
                  .at("signaling"),
              "wss://localhost/signaling");
}

TEST_F(FrontTest, BootstrapGivesEachClientATurnPasswordOfItsOwnTime) {
    turn_secret_ = "shared";
    start(0);
    Recorder worker;
    const auto side = connect_worker(worker, "w");
    ASSERT_TRUE(until([&] { return front_->living_workers() == 1; }));
    const json servers = json::parse(fetch("POST", "/bootstrap").body).at("iceServers");
    EXPECT_EQ(servers.at(0), (json{{"urls", {"stun:s.example:3478"}}}));
    // Good for a day by the test's clock; as turn_credentials_test.cc says.
    EXPECT_EQ(servers.at(1).at("username"), "1763886400:user");
    EXPECT_EQ(servers.at(1).at("credential"), "+HyqLPw25hE9+utXMH1qdoJ71x0=");
}

TEST_F(FrontTest, HealthWarnsWithoutAWorker) {
    EXPECT_EQ(json::parse(fetch("GET", "/health").body).at("status"), "warn");
    Recorder worker;
    const auto side = connect_worker(worker, "w");
    ASSERT_TRUE(until([&] { return front_->living_workers() == 1; }));
    const json health = json::parse(fetch("GET", "/health").body);
    EXPECT_EQ(health.at("status"), "ok");
    EXPECT_EQ(health.at("workers"), 1);
}

TEST_F(FrontTest, ServesTheWebApplication) {
    const RawResponse page = fetch("GET", "/");
    EXPECT_EQ(page.body, "<p>");
    EXPECT_EQ(page.header("etag"), "\"p1\"");
    EXPECT_NE(page.header("content-security-policy"), "");
    EXPECT_EQ(fetch("GET", "/", "If-None-Match: \"p1\"\r\n").status, 304);
    EXPECT_EQ(fetch("GET", "/app.js").body, "1;");
    EXPECT_EQ(fetch("GET", "/missing.js").status, 404);
}

TEST_F(FrontTest, AClientComesBackWhenTheFrontRestarts) {
    Recorder worker;
    const auto side = connect_worker(worker, "w");
    ASSERT_TRUE(until([&] { return worker.registrations == 1; }));
    const std::uint16_t port = port_;
    front_.reset();
    ASSERT_TRUE(until([&] { return worker.losses.size() == 2; }));  // lost, then refused
    EXPECT_FALSE(side->registered());
    start(port);
    ASSERT_TRUE(until([&] { return worker.registrations == 2 && front_->living_workers() == 1; }));
    EXPECT_EQ(worker.losses.size(), 2u);
}

TEST_F(FrontTest, AWorkerWithTheWrongKeyIsToldOnceAndKeepsTrying) {
    Recorder worker;
    SignalingClientOptions options;
    options.id = "w";
    options.shared_key = Bytes(32, 1);
    options.worker_url = "http://w";
    const auto side = connect(worker, std::move(options));
    ASSERT_TRUE(until([&] { return worker.errors.size() >= 3; }));
    ASSERT_EQ(worker.losses.size(), 1u);
    EXPECT_EQ(worker.losses[0].find("unauthorized: "), 0u);
}

TEST_F(FrontTest, AStoppingFrontSendsItsMembersAway) {
    Recorder worker;
    const auto side = connect_worker(worker, "w");
    ASSERT_TRUE(until([&] { return worker.registrations == 1; }));
    bool stopped = false;
    front_->stop(seconds(20), [&] { stopped = true; });
    ASSERT_TRUE(until([&] { return stopped && !worker.losses.empty(); }));
    EXPECT_NE(worker.losses[0].find("1001"), std::string::npos);
}

TEST(MakeFront, SaysWhyItCannot) {
    EventLoop loop;
    ManualClock clock;
    SeededRandom random(1);
    FrontOptions options;
    options.bind_address = "nowhere";
    EXPECT_EQ(make_front(loop, clock, random, options).error().code, ErrorCode::kInvalid);
}

}  // namespace
}  // namespace kollator::front
