// STUN and TURN servers whose names come to mean other addresses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/system_random.h"
#include "rtc/ice_servers.h"

namespace kollator::rtc {
namespace {

using std::chrono::seconds;

const SocketAddress kLocal{*IpAddress::parse("192.0.2.80"), 8081};

struct Sent {
    SocketAddress to;
    Bytes bytes;
};

class KeepingHost final : public IceServersHost {
 public:
    void send_to_server(const SocketAddress& server, ByteSpan datagram) override {
        sent.push_back({server, Bytes(datagram.begin(), datagram.end())});
    }
    void on_relayed(const IcePath&, ByteSpan) override {}
    void on_relayed_end() override {}
    void on_server_candidate(const Candidate&) override {}

    std::vector<Sent> sent;
};

/// The clock stands still, far behind the loop's: every timer fires at once, and finds that nothing
/// is due until the test moves the clock.
class ServerNames : public ::testing::Test {
 protected:
    void open(IceServerOptions options) {
        servers_ = std::make_unique<IceServers>(
            loop_, clock_, crypto::system_random(), std::move(options), kLocal, 7, host_,
            [this](const std::string& name, Resolver::Done done) {
                EXPECT_EQ(name, "server.example");
                ++lookups_;
                loop_.post([this, done] { done(addresses_); });
            });
        servers_->start();
    }
    bool wait_for(const std::function<bool()>& done) { return loop_.run_until(done, seconds(60)); }
    Sent next() {
        EXPECT_TRUE(wait_for([this] { return !host_.sent.empty(); }));
        Sent first = std::move(host_.sent.front());
        host_.sent.erase(host_.sent.begin());
        return first;
    }
    /// The server answers that it will not.
    void refuse(const Sent& asked) {
        const Result<StunMessage> message = parse_stun(asked.bytes);
        const Bytes answer = StunBuilder(StunClass::kError, message->method, message->transaction)
                                 .error(static_cast<StunErrorCode>(500), "not now")
                                 .finish();
        EXPECT_TRUE(servers_->handle_datagram(asked.to, kLocal.ip, answer));
    }
    static IceServerOptions stun() {
        return {
            .stun = {{"server.example", 3478}}, .turn = {}, .turn_secret = {}, .turn_ca_file = {}};
    }
    static IceServerOptions turn() {
        TurnServerOptions server;
        server.host = "server.example";
        return {.stun = {}, .turn = {server}, .turn_secret = {}, .turn_ca_file = {}};
    }

    EventLoop loop_;
    ManualClock clock_;
    KeepingHost host_;
    Result<Resolver::Addresses> addresses_ = Resolver::Addresses{"203.0.113.1"};
    int lookups_ = 0;
    std::unique_ptr<IceServers> servers_;
};

TEST_F(ServerNames, AreLookedUpAnewWhereAServerFailed) {
    for (const IceServerOptions& options : {stun(), turn()}) {
        addresses_ = Resolver::Addresses{"203.0.113.1"};
        open(options);
        const Sent first = next();
        EXPECT_EQ(first.to.text(), "203.0.113.1:3478");
        refuse(first);
        addresses_ = Resolver::Addresses{"203.0.113.2"};
        clock_.advance(seconds(61));
        EXPECT_EQ(next().to.text(), "203.0.113.2:3478");
        servers_.reset();
        host_.sent.clear();
    }
    EXPECT_EQ(lookups_, 4);
}

TEST_F(ServerNames, AreLookedUpAnewWhereTheyMeantNothing) {
    for (const IceServerOptions& options : {stun(), turn()}) {
        for (const Result<Resolver::Addresses>& nothing :
             {Result<Resolver::Addresses>(Resolver::Addresses{"2001:db8::1"}),
              Result<Resolver::Addresses>(make_error(ErrorCode::kUnavailable, "no such name"))}) {
            addresses_ = nothing;
            const int before = lookups_;
            open(options);
            ASSERT_TRUE(wait_for([&] { return lookups_ > before && !servers_->gathering(); }));
            addresses_ = Resolver::Addresses{"203.0.113.1"};
            clock_.advance(seconds(31));
            EXPECT_EQ(next().to.text(), "203.0.113.1:3478");
            servers_.reset();
            host_.sent.clear();
        }
    }
}

TEST_F(ServerNames, AreNotNeededForAServerThatIsKnown) {
    open(stun());
    refuse(next());
    addresses_ = make_error(ErrorCode::kUnavailable, "the resolver is down");
    clock_.advance(seconds(61));
    EXPECT_EQ(next().to.text(), "203.0.113.1:3478");
}

}  // namespace
}  // namespace kollator::rtc
