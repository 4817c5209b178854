// Two data transports back to back in one thread, without sockets: what DTLS, SCTP and the channels
// cost by themselves.
//
//     data_transport_bench throughput [message_bytes] [total_mebibytes] [usrsctp]
//     data_transport_bench connections [count] [usrsctp]

#include <fmt/core.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/random.h"
#include "rtc/certificate.h"
#include "rtc/data_transport.h"
#include "rtc/sctp/sctp_association.h"

namespace kollator::rtc {
namespace {

constexpr std::size_t kHeadBytes = 14;  // a header and a fragment's place, as a session sends them
constexpr double kGiga = 1e9;

double cpu_seconds() {
    timespec at{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
    return static_cast<double>(at.tv_sec) + static_cast<double>(at.tv_nsec) / kGiga;
}

/// Datagrams one after the other in one block, so that the link costs a memcpy and no allocation.
class Outbox {
 public:
    void push(ByteSpan datagram) {
        bytes_.insert(bytes_.end(), datagram.begin(), datagram.end());
        ends_.push_back(bytes_.size());
    }
    bool empty() const { return ends_.empty(); }
    template <typename Each>
    void drain(Each each) {
        std::size_t begin = 0;
        for (const std::size_t end : ends_) {
            each(ByteSpan(bytes_).subspan(begin, end - begin));
            begin = end;
        }
        bytes_.clear();
        ends_.clear();
    }

 private:
    Bytes bytes_;
    std::vector<std::size_t> ends_;
};

class End final : public DataTransportSink, public DataTransportObserver {
 public:
    explicit End(const Certificate& own) : certificate(own) {}

    void make(SctpStack& stack, DtlsRole role, const Certificate& remote) {
        DataTransportOptions options;
        options.role = role;
        options.remote_fingerprint = remote.fingerprint();
        options.remote_max_message_bytes = 0;
        transport = make_data_transport(certificate, stack, options, *this, *this);
    }

    void on_transport_datagram(ByteSpan datagram) override {
        out.push(datagram);
        ++datagrams;
    }
    void on_transport_connected() override {}
    void on_transport_closed(const std::string&) override {}
    std::unique_ptr<DataChannelObserver> on_transport_channel(DataChannel& opened) override {
        channel = &opened;
        return std::make_unique<Counter>(*this);
    }

    void fill() {
        while (left_bytes > 0 && channel->send(head, body).ok()) {
            left_bytes -= std::min(left_bytes, head.size() + body.size());
        }
    }

    const Certificate& certificate;
    std::unique_ptr<DataTransport> transport;
    DataChannel* channel = nullptr;
    Outbox out;
    Bytes head;
    Bytes body;
    std::size_t left_bytes = 0;
    std::size_t received_bytes = 0;
    std::size_t datagrams = 0;
    double cpu = 0;

 private:
    class Counter final : public DataChannelObserver {
     public:
        explicit Counter(End& end) : end_(end) {}
        void on_message(ByteSpan message, bool) override { end_.received_bytes += message.size(); }
        void on_writable() override { end_.fill(); }
        void on_close() override { end_.channel = nullptr; }

     private:
        End& end_;
    };
};

struct Pair {
    Pair(SctpStack& the_stack, const Certificate& a, const Certificate& b)
        : stack(the_stack), client(a), server(b) {
        client.make(stack, DtlsRole::kClient, b);
        server.make(stack, DtlsRole::kServer, a);
    }

    void carry(End& from, End& to) {
        Outbox datagrams;
        std::swap(datagrams, from.out);
        const double before = cpu_seconds();
        datagrams.drain([&](ByteSpan datagram) { to.transport->handle_datagram(datagram, now); });
        to.transport->poll(now);
        to.cpu += cpu_seconds() - before;
        if (from.out.empty()) std::swap(datagrams, from.out);  // keeps its memory
    }
    void round() {
        carry(client, server);
        carry(server, client);
        if (client.out.empty() && server.out.empty()) {
            now += std::chrono::milliseconds(10);
            stack.handle_timers(now);
            client.transport->poll(now);
            server.transport->poll(now);
        }
    }
    void connect() {
        client.transport->start(now);
        server.transport->start(now);
        KOLLATOR_CHECK(client.transport->open_channel({"bench", "", true}).ok());
        while (client.channel == nullptr || server.channel == nullptr) round();
    }

    SctpStack& stack;
    End client;
    End server;
    TimePoint now = std::chrono::steady_clock::now();
};

Certificate make_certificate() {
    auto certificate = Certificate::generate(std::time(nullptr));
    KOLLATOR_CHECK(certificate.ok());
    return std::move(*certificate);
}

void throughput(bool own, std::size_t message_bytes, std::size_t total_bytes) {
    SeededRandom random(1);
    const auto stack = own ? make_sctp_stack(random) : make_usrsctp_stack();
    const Certificate a = make_certificate();
    const Certificate b = make_certificate();
    Pair pair(*stack, a, b);
    pair.connect();
    pair.client.head.resize(kHeadBytes);
    pair.client.body.resize(message_bytes - kHeadBytes);
    pair.client.left_bytes = total_bytes;
    pair.client.cpu = pair.server.cpu = 0;
    const std::size_t datagrams = pair.client.datagrams;
    const auto begin = std::chrono::steady_clock::now();
    const double cpu = cpu_seconds();
    pair.client.fill();
    pair.client.cpu += cpu_seconds() - cpu;
    while (pair.server.received_bytes < total_bytes) pair.round();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
    const double giga = static_cast<double>(total_bytes) / kGiga;
    fmt::print(
        "message={} B total={:.2f} GB wall={:.2f} s both_ends={:.3f} GB/s "
        "sender={:.2f} s/GB receiver={:.2f} s/GB datagrams={}\n",
        message_bytes, giga, elapsed.count(), giga / (cpu_seconds() - cpu), pair.client.cpu / giga,
        pair.server.cpu / giga, pair.client.datagrams - datagrams);
}

std::size_t resident_bytes() {
    std::ifstream file("/proc/self/statm");
    std::size_t size = 0;
    std::size_t resident = 0;
    file >> size >> resident;
    return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

void connections(bool own, std::size_t count) {
    SeededRandom random(1);
    const auto stack = own ? make_sctp_stack(random) : make_usrsctp_stack();
    const Certificate a = make_certificate();
    const Certificate b = make_certificate();
    std::vector<std::unique_ptr<Pair>> pairs;
    pairs.push_back(std::make_unique<Pair>(*stack, a, b));
    pairs.back()->connect();
    const std::size_t before = resident_bytes();
    const double cpu = cpu_seconds();
    while (pairs.size() <= count) {
        pairs.push_back(std::make_unique<Pair>(*stack, a, b));
        pairs.back()->connect();
    }
    const double setup = cpu_seconds() - cpu;
    const double n = static_cast<double>(count);
    fmt::print("connections={} end={:.1f} kB setup={:.2f} ms an end\n", count,
               static_cast<double>(resident_bytes() - before) / n / 2 / 1000, setup / n / 2 * 1000);
    const double idle = cpu_seconds();
    constexpr int kTicks = 200;
    TimePoint now = pairs.back()->now;
    for (const auto& pair : pairs) now = std::max(now, pair->now);  // each has moved its own
    for (int tick = 0; tick < kTicks; ++tick) {
        now += std::chrono::milliseconds(50);
        stack->handle_timers(now);
    }
    fmt::print("idle tick={:.3f} ms for {} ends\n", (cpu_seconds() - idle) / kTicks * 1000,
               2 * (count + 1));
}

}  // namespace
}  // namespace kollator::rtc

int main(int argc, char** argv) {
    const std::string mode = argc > 1 ? argv[1] : "throughput";
    const bool own = argc <= 1 || std::string(argv[argc - 1]) != "usrsctp";
    const auto argument = [&](int index, std::size_t otherwise) {
        return argc > index ? std::strtoull(argv[index], nullptr, 10) : otherwise;
    };
    if (mode == "connections") {
        kollator::rtc::connections(own, argument(2, 1000));
    } else {
        kollator::rtc::throughput(own, std::max<std::size_t>(argument(2, 65536), 64),
                                  argument(3, 512) << 20);
    }
    return 0;
}
