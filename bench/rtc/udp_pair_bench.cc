// Two processes, each with our stack, over UDP: what one connection carries, straight over loopback
// or through the impairment relay. (ICE is left out: both know the other's address.)
//
//     udp_pair_bench [--megabytes 200] [--seconds 0] [--message 65536]
//                    [--sctp own|usrsctp]
//                    [--relay build/…/impairment_relay --delay-ms 25 --loss 0.001 --rate-mbit 0
//                     --queue-kb 4000]
//
// `seconds` (0: none) ends a run early: on a bad path the megabytes would take minutes.
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <memory>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/random.h"
#include "loop/event_loop.h"
#include "rtc/certificate.h"
#include "rtc/data_transport.h"
#include "rtc/mux/udp_socket.h"
#include "rtc/sctp/sctp_association.h"

namespace kollator::rtc {
namespace {

constexpr std::size_t kHeadBytes = 14;
constexpr Duration kLongest = std::chrono::seconds(120);
constexpr double kGiga = 1e9;
constexpr double kMega = 1e6;

struct Settings {
    double megabytes = 200;
    double seconds = 0;
    std::size_t message_bytes = 65536;
    std::string relay;
    double delay_ms = 0;
    double loss = 0;
    double rate_mbit = 0;
    double queue_kb = 4000;
    std::string sctp = "own";
};

/// What the receiver tells at its end.
struct Received {
    double bytes = 0;
    double seconds = 0;
};

double cpu_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& at) {
        return static_cast<double>(at.tv_sec) + static_cast<double>(at.tv_usec) / kMega;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// One end: a socket, a transport, a timer.
class End final : public DataTransportSink, public DataTransportObserver {
 public:
    End(EventLoop& loop, UdpSocket& socket, DtlsRole role, const Certificate& own,
        const Certificate& remote, const Settings& settings)
        : loop_(loop),
          socket_(socket),
          settings_(settings),
          timer_(loop),
          stack_(settings.sctp == "own" ? make_sctp_stack(random_) : make_usrsctp_stack()) {
        DataTransportOptions options;
        options.role = role;
        options.remote_fingerprint = remote.fingerprint();
        options.remote_max_message_bytes = 0;
        transport_ = make_data_transport(own, *stack_, options, *this, *this);
        body_.resize(settings.message_bytes - kHeadBytes);
        left_bytes_ = settings.megabytes * kMega;
        socket_.start(
            [this](const IcePath& path, ByteSpan datagram) {
                if (path_.remote.port == 0) path_ = path;
                transport_->handle_datagram(datagram, loop_.now());
            },
            [this] { turn(); });
    }

    void start(std::optional<SocketAddress> remote) {
        if (remote) path_.remote = *remote;
        transport_->start(loop_.now());
        if (remote) KOLLATOR_CHECK(transport_->open_channel({"bench", "", true}).ok());
        turn();
    }

    void on_transport_datagram(ByteSpan datagram) override { socket_.send(path_, datagram); }
    void on_transport_pending() override {
        if (!std::exchange(turn_wanted_, true)) loop_.post([this] { turn(); });
    }
    void on_transport_connected() override {}
    void on_transport_closed(const std::string&) override { loop_.stop(); }
    std::unique_ptr<DataChannelObserver> on_transport_channel(DataChannel& channel) override {
        channel_ = &channel;
        return std::make_unique<Counter>(*this);
    }

    void fill() {
        while (left_bytes_ > 0 && channel_->send(head_, body_).ok()) {
            left_bytes_ -= static_cast<double>(settings_.message_bytes);
        }
    }
    void took(std::size_t bytes) {
        if (received_.bytes == 0) first_ = loop_.now();
        received_.bytes += static_cast<double>(bytes);
        received_.seconds = std::chrono::duration<double>(loop_.now() - first_).count();
        const bool late = settings_.seconds > 0 && received_.seconds >= settings_.seconds;
        if (late || received_.bytes >= settings_.megabytes * kMega) transport_->close("done");
    }

    const Received& received() const { return received_; }
    SctpStats sctp() const { return stack_->stats(); }
    DataChannel* channel() { return channel_; }

 private:
    class Counter final : public DataChannelObserver {
     public:
        explicit Counter(End& end) : end_(end) {}
        void on_message(ByteSpan message, bool) override {
            if (message.size() == 1) {
                end_.fill();
            } else {
                end_.took(message.size());
            }
        }
        void on_writable() override { end_.fill(); }
        void on_close() override {}

     private:
        End& end_;
    };

    void turn() {
        const TimePoint now = loop_.now();
        turn_wanted_ = false;
        transport_->poll(now);
        socket_.flush();
        if (transport_->wants_poll()) on_transport_pending();
        TimePoint next = stack_->next_timeout(now);
        if (const auto own = transport_->next_timeout()) next = std::min(next, *own);
        timer_.start_at(next, [this] {
            const TimePoint then = loop_.now();
            if (stack_->next_timeout(then) <= then) stack_->handle_timers(then);
            const auto own = transport_->next_timeout();
            if (own && *own <= then) transport_->handle_timeout(then);
            turn();
        });
    }

    EventLoop& loop_;
    UdpSocket& socket_;
    const Settings& settings_;
    Timer timer_;
    IcePath path_;
    SeededRandom random_{1};
    std::unique_ptr<SctpStack> stack_;
    std::unique_ptr<DataTransport> transport_;
    DataChannel* channel_ = nullptr;
    std::array<std::uint8_t, kHeadBytes> head_{};
    Bytes body_;
    bool turn_wanted_ = false;
    double left_bytes_ = 0;
    Received received_;
    TimePoint first_{};
};

Certificate make_certificate() {
    auto certificate = Certificate::generate(std::time(nullptr));
    KOLLATOR_CHECK(certificate.ok());
    return std::move(*certificate);
}

SocketAddress loopback(std::uint16_t port) {
    return {*IpAddress::parse("127.0.0.1"), port};
}

/// The client: asks with one byte, receives, and writes what came to `report`.
int receive(const Settings& settings, const Certificate& own, const Certificate& server,
            std::uint16_t port, int report) {
    EventLoop loop;
    auto socket = UdpSocket::open(loop, loopback(0));
    KOLLATOR_CHECK(socket.ok());
    End end(loop, **socket, DtlsRole::kClient, own, server, settings);
    end.start(loopback(port));
    loop.run_until([&] { return end.channel() != nullptr; }, kLongest);
    KOLLATOR_CHECK(end.channel()->send(Bytes{1}, {}).ok());
    loop.run();
    (*socket)->flush();
    const std::array<double, 3> result = {end.received().bytes, end.received().seconds,
                                          cpu_seconds()};
    return ::write(report, result.data(), sizeof(result)) == sizeof(result) ? 0 : 1;
}

struct Relay {
    std::FILE* pipe = nullptr;
    std::uint16_t port = 0;
};

Relay start_relay(const Settings& settings, std::uint16_t to) {
    // It ends with its standard input: with us, who hold the other end.
    std::array<int, 2> life{};
    KOLLATOR_CHECK(::pipe(life.data()) == 0 && ::fcntl(life[1], F_SETFD, FD_CLOEXEC) == 0);
    KOLLATOR_CHECK(::dup2(life[0], STDIN_FILENO) == STDIN_FILENO);
    const std::string command = fmt::format(
        "exec {} --to 127.0.0.1:{} --delay-ms {} --loss {} --rate-mbit {} --queue-kb {}",
        settings.relay, to, settings.delay_ms, settings.loss, settings.rate_mbit,
        settings.queue_kb);
    Relay relay;
    relay.pipe = ::popen(command.c_str(), "r");
    unsigned port = 0;
    KOLLATOR_CHECK(relay.pipe != nullptr && std::fscanf(relay.pipe, "port %u", &port) == 1);
    relay.port = static_cast<std::uint16_t>(port);
    return relay;
}

int run(const Settings& settings) {
    const Certificate a = make_certificate();
    const Certificate b = make_certificate();
    std::array<int, 2> report{};
    std::array<int, 2> ports{};
    KOLLATOR_CHECK(::pipe(report.data()) == 0 && ::pipe(ports.data()) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
        std::uint16_t port = 0;
        if (::read(ports[0], &port, sizeof(port)) != sizeof(port)) _exit(1);
        _exit(receive(settings, a, b, port, report[1]));
    }
    EventLoop loop;
    auto socket = UdpSocket::open(loop, loopback(0));
    KOLLATOR_CHECK(socket.ok());
    std::uint16_t port = (*socket)->local_address().port;
    Relay relay;
    if (!settings.relay.empty()) {
        relay = start_relay(settings, port);
        port = relay.port;
    }
    End end(loop, **socket, DtlsRole::kServer, b, a, settings);
    end.start(std::nullopt);
    KOLLATOR_CHECK(::write(ports[1], &port, sizeof(port)) == sizeof(port));
    const double cpu = cpu_seconds();
    loop.run();
    const double sender = cpu_seconds() - cpu;
    std::array<double, 3> got{};
    KOLLATOR_CHECK(::read(report[0], got.data(), sizeof(got)) == sizeof(got));
    ::waitpid(child, nullptr, 0);
    const UdpStats& udp = (*socket)->stats();
    const double giga = got[0] / kGiga;
    const double mega = got[0] / kMega;
    fmt::print(
        "delay={} ms loss={} rate={:.0f} Mbit/s {:.1f} MB/s sender={:.2f} s/GB receiver={:.2f} "
        "s/GB "
        "sent={:.0f}/MB send_calls={:.1f}/MB receive_calls={:.1f}/MB retransmitted={:.2f} % "
        "buffer={} kB\n",
        settings.delay_ms, settings.loss, got[0] * 8 / got[1] / kMega, got[0] / got[1] / kMega,
        sender / giga, got[2] / giga, static_cast<double>(udp.datagrams_sent) / mega,
        static_cast<double>(udp.send_calls) / mega, static_cast<double>(udp.receive_calls) / mega,
        static_cast<double>(end.sctp().retransmitted_bytes) / got[0] * 100,
        end.sctp().buffered_bytes / 1000);
    return 0;
}

}  // namespace
}  // namespace kollator::rtc

int main(int argc, char** argv) {
    kollator::rtc::Settings settings;
    CLI::App app{"One connection between two processes"};
    app.add_option("--megabytes", settings.megabytes);
    app.add_option("--seconds", settings.seconds);
    app.add_option("--message", settings.message_bytes);
    app.add_option("--relay", settings.relay, "the impairment_relay executable");
    app.add_option("--delay-ms", settings.delay_ms, "one way");
    app.add_option("--loss", settings.loss);
    app.add_option("--rate-mbit", settings.rate_mbit);
    app.add_option("--queue-kb", settings.queue_kb, "of the bottleneck");
    app.add_option("--sctp", settings.sctp)->check(CLI::IsMember({"own", "usrsctp"}));
    CLI11_PARSE(app, argc, argv);
    return kollator::rtc::run(settings);
}
