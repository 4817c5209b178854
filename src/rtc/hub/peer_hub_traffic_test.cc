// A hub under load, its clients on a thread of their own: what goes wrong between threads shows
// here, and under the thread sanitizer.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "crypto/system_random.h"
#include "loop/event_loop.h"
#include "loop/system_clock.h"
#include "rtc/certificate.h"
#include "rtc/hub/shard_peer.h"
#include "rtc/peer_hub.h"
#include "tests/support/loop_thread.h"

namespace kollator::rtc {
namespace {

constexpr std::size_t kMegabyte = 1024 * 1024;
constexpr std::size_t kMessageBytes = 48 * 1024;
constexpr std::size_t kHeadBytes = 14;

/// The `number`th message of a stream: its number, and bytes that follow from it.
std::string message_of(std::size_t number) {
    std::string message = std::to_string(number) + ":";
    message.resize(kMessageBytes - number % 1000, static_cast<char>('a' + number % 26));
    return message;
}

/// One side of a connection that sends `to_send` messages as fast as it may, and checks those that
/// come. What others read of it is atomic.
struct Talk {
    std::size_t to_send = 0;
    std::atomic<std::size_t> sent{0};
    std::atomic<std::size_t> heard{0};
    std::atomic<std::size_t> wrong{0};
    std::atomic<int> connected{0};
    std::atomic<int> closed{0};
    std::atomic<int> destroyed{0};
};

class TalkingChannel final : public DataChannelObserver {
 public:
    TalkingChannel(Talk& talk, DataChannel& channel) : talk_(talk), channel_(channel) {}
    void on_message(ByteSpan message, bool) override {
        if (as_text(message) != message_of(talk_.heard)) ++talk_.wrong;
        ++talk_.heard;
        // The opener begins; who answers begins with the first message.
        say();
    }
    void on_writable() override { say(); }
    void on_close() override {}
    void say() {
        while (talk_.sent < talk_.to_send && send(message_of(talk_.sent)).ok()) ++talk_.sent;
    }

 private:
    /// By turns copied and given away.
    Status send(const std::string& message) {
        const ByteSpan bytes = as_bytes(message);
        if (talk_.sent % 2 == 0) return channel_.send({}, bytes);
        auto body = std::make_shared<Buffer>(bytes.size() - kHeadBytes);
        std::copy(bytes.begin() + kHeadBytes, bytes.end(), body->data());
        const ByteSpan whole = std::as_const(*body).span();
        MessageBlock block(bytes.first(kHeadBytes), {std::move(body), whole});
        return channel_.give(block);
    }

    Talk& talk_;
    DataChannel& channel_;
};

class TalkingPeer final : public PeerObserver {
 public:
    explicit TalkingPeer(Talk& talk) : talk_(talk) {}
    ~TalkingPeer() override { ++talk_.destroyed; }
    void on_connected() override { ++talk_.connected; }
    std::unique_ptr<DataChannelObserver> on_channel(DataChannel& channel) override {
        auto observer = std::make_unique<TalkingChannel>(talk_, channel);
        observer->say();
        return observer;
    }
    void on_closed(const std::string&) override { ++talk_.closed; }

 private:
    Talk& talk_;
};

class PeerHubTrafficTest : public ::testing::TestWithParam<std::size_t> {
 protected:
    PeerHubTrafficTest() {
        options_.bind_address = "127.0.0.1";
        options_.buffer_budget_bytes = 32 * kMegabyte;
        hub_ = *open_peer_hub(loop_, system_clock(), crypto::system_random(), worker_certificate_,
                              options_, GetParam());
    }
    ~PeerHubTrafficTest() override {
        clients_.run([&] { endpoints_.clear(); });
    }

    /// Makes a connection whose ends say so many messages; not waited for.
    PeerId call(std::size_t from_client, std::size_t from_hub) {
        Talk& client = *at_clients_.emplace_back(std::make_unique<Talk>());
        Talk& worker = *at_hub_.emplace_back(std::make_unique<Talk>());
        client.to_send = from_client;
        worker.to_send = from_hub;
        Endpoint* endpoint = nullptr;
        LocalOffer offer;
        clients_.run([&] {
            endpoints_.push_back(*open_endpoint(clients_.loop(), system_clock(),
                                                crypto::system_random(), client_certificate_,
                                                options_));
            endpoint = endpoints_.back().get();
            offer = *endpoint->offer(std::make_unique<TalkingPeer>(client));
            EXPECT_TRUE(endpoint->open_channel(offer.peer, {"kollator", "v1"}).ok());
        });
        bool answered = false;
        const PeerId id =
            hub_->accept(offer.sdp, std::make_unique<TalkingPeer>(worker), [&](const auto& answer) {
                answered = true;
                clients_.run(
                    [&] { EXPECT_TRUE(endpoint->accept_answer(offer.peer, answer->sdp).ok()); });
            });
        EXPECT_TRUE(wait_for([&] { return answered; }));
        return id;
    }
    bool wait_for(const std::function<bool()>& done) {
        return loop_.run_until(done, std::chrono::seconds(120));
    }
    /// The clients' loop tells nobody: looked at again and again.
    bool wait_for_clients(const std::function<bool()>& done) {
        Timer timer(loop_);
        std::function<void()> again = [&] { timer.start_after(kLook, again); };
        again();
        return wait_for(done);
    }

    static constexpr std::chrono::milliseconds kLook{5};

    EventLoop loop_;
    testing::LoopThread clients_;
    Certificate client_certificate_ = *Certificate::generate(1'763'800'000);
    Certificate worker_certificate_ = *Certificate::generate(1'763'800'000);
    EndpointOptions options_;
    std::vector<std::unique_ptr<Talk>> at_clients_;
    std::vector<std::unique_ptr<Talk>> at_hub_;
    std::vector<std::unique_ptr<Endpoint>> endpoints_;
    std::unique_ptr<PeerHub> hub_;
};

INSTANTIATE_TEST_SUITE_P(Shards, PeerHubTrafficTest, ::testing::Values(1, 2, 3));

TEST_P(PeerHubTrafficTest, CarriesTrafficBothWaysAtOnceOnEveryShard) {
    constexpr std::size_t kConnections = 6;
    constexpr std::size_t kMessages = 60;
    for (std::size_t i = 0; i < kConnections; ++i) call(kMessages, kMessages);
    EXPECT_TRUE(wait_for_clients([&] {
        for (std::size_t i = 0; i < kConnections; ++i) {
            if (at_clients_[i]->heard < kMessages || at_hub_[i]->heard < kMessages) return false;
        }
        return true;
    }));
    for (std::size_t i = 0; i < kConnections; ++i) {
        EXPECT_EQ(at_clients_[i]->wrong, 0U);
        EXPECT_EQ(at_hub_[i]->wrong, 0U);
    }
    EXPECT_EQ(hub_->counts().active, kConnections);
}

TEST_P(PeerHubTrafficTest, APeerIsHeldBackWhileTheHubsLoopStands) {
    constexpr std::size_t kMessages = 64 * kMegabyte / kMessageBytes;
    call(kMessages, 0);
    Talk& client = *at_clients_.front();
    ASSERT_TRUE(wait_for_clients([&] { return client.connected == 1; }));
    // The hub's loop does not run now. What the client can get rid of is what windows and buffers
    // hold: 4 MiB at each end at most, and what a shard may have unread.
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
    while (client.sent < kMessages / 2 && std::chrono::steady_clock::now() < end) {
        std::this_thread::yield();
    }
    EXPECT_LT(client.sent, kMessages / 2);
    Talk& worker = *at_hub_.front();
    EXPECT_TRUE(wait_for([&] { return worker.heard == kMessages; }));
    EXPECT_EQ(worker.wrong, 0U);
}

TEST_P(PeerHubTrafficTest, EndsInTheMiddleOfTraffic) {
    constexpr std::size_t kEndless = 1'000'000;
    for (int i = 0; i < 4; ++i) call(kEndless, kEndless);
    ASSERT_TRUE(wait_for_clients([&] {
        return std::all_of(at_clients_.begin(), at_clients_.end(),
                           [](const auto& each) { return each->heard > 10; });
    }));
    hub_.reset();
    for (const auto& each : at_hub_) {
        EXPECT_EQ(each->closed, 0) << "destroying a hub calls nobody";
        EXPECT_EQ(each->destroyed, 1);
    }
    EXPECT_TRUE(wait_for_clients([&] {
        return std::all_of(at_clients_.begin(), at_clients_.end(),
                           [](const auto& each) { return each->closed == 1; });
    }));
}

TEST_P(PeerHubTrafficTest, ClosesConnectionsThatAreBusy) {
    constexpr std::size_t kEndless = 1'000'000;
    std::vector<PeerId> ids;
    for (int i = 0; i < 4; ++i) ids.push_back(call(kEndless, kEndless));
    // All are connected before the first is closed: they are counted below.
    ASSERT_TRUE(wait_for_clients([&] {
        return std::all_of(at_clients_.begin(), at_clients_.end(),
                           [](const auto& each) { return each->heard > 10; });
    }));
    for (std::size_t i = 0; i < ids.size(); ++i) {
        hub_->close(ids[i], "busy");
        ASSERT_TRUE(wait_for_clients(
            [&] { return at_clients_[i]->closed == 1 && at_hub_[i]->closed == 1; }));
        EXPECT_EQ(at_hub_[i]->destroyed, 1);
        EXPECT_EQ(hub_->counts().active, ids.size() - 1 - i);
    }
}

TEST(PeerHubOpen, SaysWhatCannotBe) {
    EventLoop loop;
    const Certificate certificate = *Certificate::generate(1'763'800'000);
    EndpointOptions options;
    options.bind_address = "127.0.0.1";
    const auto code = [&](std::size_t shards) {
        const auto opened = open_peer_hub(loop, system_clock(), crypto::system_random(),
                                          certificate, options, shards);
        return opened.ok() ? std::optional<ErrorCode>() : opened.error().code;
    };
    options.sctp = SctpImplementation::kUsrsctp;
    EXPECT_EQ(code(2), ErrorCode::kInvalid);
    EXPECT_EQ(code(1), std::nullopt);
    options.sctp = SctpImplementation::kOwn;
    options.port = 65535;
    EXPECT_EQ(code(2), ErrorCode::kInvalid);
    options.port = 0;
    const auto holder =
        open_peer_hub(loop, system_clock(), crypto::system_random(), certificate, options, 1);
    options.port = static_cast<std::uint16_t>((*holder)->port());
    EXPECT_EQ(code(2), ErrorCode::kUnavailable);
    options.port = static_cast<std::uint16_t>((*holder)->port() - 1);
    EXPECT_EQ(code(2), ErrorCode::kUnavailable) << "the second one's port is taken";
}

}  // namespace
}  // namespace kollator::rtc
