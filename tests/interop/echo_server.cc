// The worker's WebRTC side without a worker, for interop tests and benchmarks: signaling is JSON
// lines on standard input and output.
//
//   out  {"port":…,"direct":["/ip4/…"]}: the first line
//   in   {"offer":"v=0…"}                      out  {"peer":1,"answer":"v=0…"} or {"error":…}
//        {"peer":1,"reoffer":"v=0…"}                the same
//        {"makeOffer":["label",…]}                  {"peer":1,"offer":"v=0…"}
//        {"peer":1,"acceptAnswer":"v=0…"}           {"accepted":1} or {"refused":1,"error":…}
//        {"peer":1,"candidate":"candidate:…"}       {"error":…} where it is refused
//        {"peer":1,"close":"reason"}
//        {"stats":true}                             {"stats":{…},"peers":[…]}
//   Events: {"event":"connected"|"channel"|"channel-closed"|"closed", "peer":…, …}
//
// What a channel does, its label says; one that begins with "unordered" is opened so:
//   source:<bytes>[:<max>]  sends a mix of messages (message_mix.h); max: what the peer takes
//   sink:<bytes>:<max>      compares what comes with the mix, and says once in text: "right" after
//                           so many bytes, or what is wrong
//   close                   closes at the first message
//   refuse                  is refused
//   any other               echoes; a text message comes back as binary with "text:" before it
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <deque>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/log.h"
#include "crypto/system_random.h"
#include "loop/event_loop.h"
#include "loop/system_clock.h"
#include "rtc/certificate.h"
#include "rtc/endpoint.h"
#include "tests/interop/message_mix.h"

namespace kollator::rtc {
namespace {

using Json = nlohmann::json;

void print(const Json& line) {
    std::cout << line.dump() << std::endl;
}

/// "source:1000:65536" -> 1000, 65536.
std::vector<std::size_t> numbers_of(std::string_view label) {
    std::vector<std::size_t> numbers;
    for (std::size_t at = label.find(':'); at != std::string_view::npos; at = label.find(':', at)) {
        std::size_t value = 0;
        ++at;
        std::from_chars(label.data() + at, label.data() + label.size(), value);
        numbers.push_back(value);
    }
    return numbers;
}

class ChannelServer final : public DataChannelObserver {
 public:
    ChannelServer(PeerId peer, DataChannel& channel)
        : peer_(peer), channel_(channel), label_(channel.label()) {
        const std::vector<std::size_t> numbers = numbers_of(label_);
        if (numbers.empty()) return;
        const std::size_t max = numbers.size() > 1 ? numbers[1] : channel.max_message_bytes();
        if (label_.starts_with("source:")) source_.emplace(max);
        if (label_.starts_with("sink:")) sink_.emplace(max);
        bulk_bytes_ = numbers[0];
        pump();
    }

    void on_message(ByteSpan message, bool binary) override {
        if (label_ == "close") {
            channel_.close();
        } else if (sink_) {
            compare(message);
        } else if (!source_) {
            Bytes echo;
            if (!binary) ByteWriter(echo).bytes(as_bytes("text:"));
            ByteWriter(echo).bytes(message);
            queue_.push_back(std::move(echo));
        }
        pump();
    }
    void on_writable() override { pump(); }
    void on_close() override {
        print({{"event", "channel-closed"}, {"peer", peer_}, {"label", label_}});
    }

 private:
    void compare(ByteSpan message) {
        if (told_) return;
        std::string told = sink_->difference(message);
        sink_->take();
        if (told.empty() && sink_->taken_bytes() >= bulk_bytes_) told = "right";
        if (told.empty()) return;
        told_ = true;
        const ByteSpan text = as_bytes(told);
        queue_.emplace_back(text.begin(), text.end());
    }
    void pump() {
        while (!queue_.empty() && channel_.send({}, queue_.front()).ok()) queue_.pop_front();
        if (!queue_.empty() || !source_) return;
        while (source_->taken_bytes() < bulk_bytes_ && channel_.send({}, source_->next()).ok()) {
            source_->take();
        }
    }

    const PeerId peer_;
    DataChannel& channel_;
    const std::string label_;
    std::deque<Bytes> queue_;
    std::optional<MessageMix> source_;
    std::optional<MessageMix> sink_;
    std::uint64_t bulk_bytes_ = 0;
    bool told_ = false;
};

class PeerServer final : public PeerObserver {
 public:
    void set_id(PeerId id) { id_ = id; }

    void on_connected() override { print({{"event", "connected"}, {"peer", id_}}); }
    std::unique_ptr<DataChannelObserver> on_channel(DataChannel& channel) override {
        if (channel.label() == "refuse") return nullptr;
        print({{"event", "channel"},
               {"peer", id_},
               {"label", channel.label()},
               {"protocol", channel.protocol()},
               {"ordered", channel.ordered()},
               {"maxMessageBytes", channel.max_message_bytes()}});
        return std::make_unique<ChannelServer>(id_, channel);
    }
    void on_closed(const std::string& reason) override {
        print({{"event", "closed"}, {"peer", id_}, {"reason", reason}});
    }

 private:
    PeerId id_ = 0;
};

class Server {
 public:
    Server(EventLoop& loop, Endpoint& endpoint)
        : loop_(loop), endpoint_(endpoint), watch_(loop, STDIN_FILENO) {
        fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
        watch_.on_readable([this] { read(); });
    }

 private:
    void read() {
        char block[4096];
        const ssize_t got = ::read(STDIN_FILENO, block, sizeof(block));
        if (got == 0) loop_.stop();
        if (got <= 0) return;
        buffer_.append(block, static_cast<std::size_t>(got));
        for (std::size_t end; (end = buffer_.find('\n')) != std::string::npos;) {
            handle(Json::parse(buffer_.substr(0, end), nullptr, false));
            buffer_.erase(0, end + 1);
        }
    }

    void handle(const Json& line) {
        if (!line.is_object()) return print({{"error", "no JSON object"}});
        const PeerId peer = line.value("peer", PeerId{0});
        if (line.contains("offer")) {
            accept(line["offer"].get<std::string>());
        } else if (line.contains("reoffer")) {
            print_answer(endpoint_.renegotiate(peer, line["reoffer"].get<std::string>()));
        } else if (line.contains("makeOffer")) {
            offer(line["makeOffer"]);
        } else if (line.contains("acceptAnswer")) {
            const Status status =
                endpoint_.accept_answer(peer, line["acceptAnswer"].get<std::string>());
            if (!status.ok()) {
                return print({{"refused", peer}, {"error", status.error().detail}});
            }
            print({{"accepted", peer}});
        } else if (line.contains("candidate")) {
            const Status status =
                endpoint_.add_remote_candidate(peer, line["candidate"].get<std::string>());
            if (!status.ok()) print({{"error", status.error().detail}});
        } else if (line.contains("close")) {
            endpoint_.close(peer, line["close"].get<std::string>());
        } else if (line.contains("stats")) {
            print_stats();
        }
    }

    void accept(const std::string& offer) {
        auto observer = std::make_unique<PeerServer>();
        PeerServer& peer = *observer;
        const Result<Answer> answer = endpoint_.accept(offer, std::move(observer));
        if (answer.ok()) peer.set_id(answer->peer);
        print_answer(answer);
    }
    static void print_answer(const Result<Answer>& answer) {
        if (answer.ok()) return print({{"peer", answer->peer}, {"answer", answer->sdp}});
        print({{"error", answer.error().detail}, {"code", to_string(answer.error().code)}});
    }
    void offer(const Json& labels) {
        auto observer = std::make_unique<PeerServer>();
        PeerServer& peer = *observer;
        const Result<LocalOffer> offer = endpoint_.offer(std::move(observer));
        if (!offer.ok()) return print({{"error", offer.error().detail}});
        peer.set_id(offer->peer);
        for (const Json& label : labels) {
            const auto text = label.get<std::string>();
            const Status opened = endpoint_.open_channel(
                offer->peer,
                {.label = text, .protocol = {}, .ordered = !text.starts_with("unordered")});
            if (!opened.ok()) return print({{"error", opened.error().detail}});
        }
        print({{"peer", offer->peer}, {"offer", offer->sdp}});
    }

    void print_stats() {
        const EndpointStats stats = endpoint_.stats();
        Json peers = Json::array();
        for (const PeerInfo& info : endpoint_.peers()) {
            peers.push_back({{"peer", info.id},
                             {"connected", info.connected},
                             {"remote", info.remote_address},
                             {"relayed", info.relayed},
                             {"bytesSent", info.bytes_sent},
                             {"bytesReceived", info.bytes_received},
                             {"channels", info.channels},
                             {"zeroChecksum", info.zero_checksum}});
        }
        print({{"stats",
                {{"candidates", endpoint_.local_candidates()},
                 {"active", stats.active},
                 {"pending", stats.pending},
                 {"total", stats.total},
                 {"packetsSent", stats.packets_sent},
                 {"packetsReceived", stats.packets_received}}},
               {"peers", peers}});
    }

    EventLoop& loop_;
    Endpoint& endpoint_;
    FdWatch watch_;
    std::string buffer_;
};

int run(EndpointOptions options) {
    EventLoop loop;
    const std::int64_t now = std::chrono::duration_cast<std::chrono::seconds>(
                                 system_clock().wall_now().time_since_epoch())
                                 .count();
    Result<Certificate> certificate = Certificate::generate(now);
    if (!certificate.ok()) {
        std::cerr << certificate.error().detail << "\n";
        return 1;
    }
    auto endpoint = open_endpoint(loop, system_clock(), crypto::system_random(), *certificate,
                                  std::move(options));
    if (!endpoint.ok()) {
        std::cerr << endpoint.error().detail << "\n";
        return 1;
    }
    (*endpoint)->accept_direct([](PeerId peer) {
        auto observer = std::make_unique<PeerServer>();
        observer->set_id(peer);
        return observer;
    });
    Json direct = Json::array();
    for (const DirectAddress& address : (*endpoint)->direct_addresses()) {
        direct.push_back(format_direct_address(address));
    }
    print({{"port", (*endpoint)->port()}, {"direct", direct}});
    Server server(loop, **endpoint);
    loop.run();
    return 0;
}

}  // namespace
}  // namespace kollator::rtc

int main(int argc, char** argv) {
    CLI::App app("Echoes data channels; signaling on standard input and output");
    kollator::rtc::EndpointOptions options;
    std::string debug;
    app.add_option("--bind", options.bind_address, "UDP address");
    app.add_option("--port", options.port, "UDP port");
    app.add_option("--send-buffer", options.send_buffer_bytes, "for each association, in bytes");
    app.add_flag("--include-loopback", options.include_loopback, "name loopback in answers");
    std::string sctp = "own";
    app.add_option("--sctp", sctp, "whose SCTP")
        ->envname("RTC_SCTP")
        ->check(CLI::IsMember({"own", "usrsctp"}));
    app.add_option("--debug", debug, "as the variable DEBUG");
    std::string stun_host;
    std::uint16_t stun_port = 0;
    app.add_option("--stun-host", stun_host, "a STUN server");
    app.add_option("--stun-port", stun_port, "its port");
    kollator::rtc::TurnServerOptions turn;
    app.add_option("--turn-host", turn.host, "a TURN server");
    app.add_option("--turn-port", turn.port, "its port");
    app.add_option("--turn-transport", turn.transport, "how to reach it")
        ->transform(CLI::CheckedTransformer(std::map<std::string, kollator::rtc::TurnTransport>{
            {"udp", kollator::rtc::TurnTransport::kUdp},
            {"tcp", kollator::rtc::TurnTransport::kTcp},
            {"tls", kollator::rtc::TurnTransport::kTls}}));
    app.add_option("--turn-user", turn.username, "user name");
    app.add_option("--turn-password", turn.password, "password");
    app.add_option("--turn-secret", options.servers.turn_secret, "in place of both");
    app.add_option("--turn-ca", options.servers.turn_ca_file, "authorities, PEM");
    app.add_flag("--relay-only", options.relay_only, "no way but through the TURN server");
    CLI11_PARSE(app, argc, argv);
    if (!stun_host.empty()) options.servers.stun.push_back({stun_host, stun_port});
    if (!turn.host.empty()) options.servers.turn.push_back(turn);
    if (sctp == "usrsctp") options.sctp = kollator::rtc::SctpImplementation::kUsrsctp;
    kollator::log::configure(kollator::log::Level::kInfo, debug);
    return kollator::rtc::run(std::move(options));
}
