// A load generator over our own transport, for any worker that takes POST /rtc: what one costs
// when its client is not the slower of the two.
//
//     peer_load --url http://127.0.0.1:8081 --pid <the worker's>
//               [--connections 1] [--in-flight 1] [--size 5242880] [--chunks 20]
//               [--requests 200] [--seconds 0] [--no-store] [--idle-seconds 0]
//
// Stores the chunks, reads each once over each connection with its SHA-256 checked, and then reads
// `requests` of them, compared with what was stored: a hash a byte would make this the slower end.
// With --seconds it reads for that long, without the reading beforehand, and counts what comes;
// --no-store where an earlier run stored them. With --idle-seconds it asks for nothing and holds
// the connections. Prints one line of JSON.
#include <fmt/core.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "base/random.h"
#include "crypto/hash.h"
#include "crypto/system_random.h"
#include "loop/system_clock.h"
#include "peer/dialer.h"
#include "rtc/certificate.h"

namespace kollator::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::minutes kDeadline{5};
constexpr std::size_t kDialsAtOnce = 32;
constexpr double kGiga = 1e9;

struct Settings {
    std::string url;
    int pid = 0;
    std::size_t connections = 1;
    std::size_t in_flight = 1;
    std::size_t size_bytes = 5U << 20;
    std::size_t chunks = 20;
    std::size_t requests = 200;
    int seconds = 0;
    bool store = true;
    int idle_seconds = 0;
};

double seconds_since(Clock::time_point begun) {
    return std::chrono::duration<double>(Clock::now() - begun).count();
}

double own_cpu_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& at) {
        return static_cast<double>(at.tv_sec) + static_cast<double>(at.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// User and system time of a process and its threads, proc(5).
double cpu_seconds(int pid) {
    std::ifstream file(fmt::format("/proc/{}/stat", pid));
    std::string text;
    std::getline(file, text);
    std::istringstream fields(text.substr(text.rfind(')') + 2));
    std::vector<std::string> values{std::istream_iterator<std::string>(fields), {}};
    KOLLATOR_CHECK(values.size() > 12);
    return (std::stod(values[11]) + std::stod(values[12])) /
           static_cast<double>(sysconf(_SC_CLK_TCK));
}

double resident_kilobytes(int pid) {
    std::ifstream file(fmt::format("/proc/{}/status", pid));
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("VmRSS:")) return std::stod(line.substr(6));
    }
    return 0;
}

class Load {
 public:
    explicit Load(Settings settings) : settings_(std::move(settings)) {
        const auto now = std::chrono::duration_cast<std::chrono::seconds>(
            system_clock().wall_now().time_since_epoch());
        auto made = rtc::Certificate::generate(now.count());
        KOLLATOR_CHECK(made.ok());
        certificate_.emplace(std::move(*made));
    }

    /// Setting up is measured by itself: seconds, and the worker's CPU.
    void connect(std::size_t count) {
        const double worker = cpu_seconds(settings_.pid);
        const double own = own_cpu_seconds();
        const auto begun = Clock::now();
        std::size_t dialled = 0, failed = 0;
        std::function<void()> dial = [&] {
            if (dialled == count) return;
            ++dialled;
            peer::Route route;
            route.worker_url = settings_.url;
            clients_.push_back(std::make_unique<Client>(loop_, *certificate_));
            clients_.back()->dialer->dial(route, [&](auto connection) {
                if (connection) {
                    connections_.push_back(std::move(*connection));
                } else if (++failed == 1) {
                    fmt::print(stderr, "{}\n", connection.error().detail);
                }
                dial();
            });
        };
        for (std::size_t n = 0; n < kDialsAtOnce; ++n) dial();
        wait([&] { return connections_.size() + failed == count; });
        const double seconds = seconds_since(begun);
        setup_ = fmt::format(
            R"("connected":{},"failed":{},"setups_per_second":{:.0f},"setup_worker_ms":{:.3f},)"
            R"("setup_client_ms":{:.3f})",
            connections_.size(), failed, static_cast<double>(count) / seconds,
            (cpu_seconds(settings_.pid) - worker) * 1e3 / static_cast<double>(count),
            (own_cpu_seconds() - own) * 1e3 / static_cast<double>(count));
        KOLLATOR_CHECK(!connections_.empty());
    }

    void store() {
        SeededRandom random(settings_.size_bytes);
        std::size_t stored = 0;
        for (std::size_t n = 0; n < settings_.chunks; ++n) {
            auto bytes = std::make_shared<Buffer>(settings_.size_bytes);
            random.fill(bytes->span());
            const ChunkId id(crypto::sha256(std::as_const(*bytes).span()));
            chunks_.push_back({id, bytes});
            if (!settings_.store) {
                ++stored;
                continue;
            }
            bool done = false;
            connections_.front()->requests().store(id, std::move(bytes), {}, [&](auto answer) {
                KOLLATOR_CHECK(answer.ok());
                done = true;
                ++stored;
            });
            wait([&] { return done; });
        }
        KOLLATOR_CHECK(stored == settings_.chunks);
    }

    void verify() {
        std::size_t left = 0;
        for (const auto& connection : connections_) {
            ++left;
            connection->requests().fetch(chunks_[left % chunks_.size()].id,
                                         static_cast<std::uint32_t>(settings_.size_bytes), {},
                                         [&](auto chunk) {
                                             KOLLATOR_CHECK(chunk.ok());
                                             --left;
                                         });
        }
        wait([&] { return left == 0; });
    }

    /// Milliseconds of each request.
    std::vector<double> fetch(std::size_t requests) {
        std::vector<double> times;
        std::size_t asked = 0, active = 0;
        const std::function<void(peer::Connection&)> ask = [&](peer::Connection& connection) {
            if (asked == requests) return;
            ++active;
            const auto begun = Clock::now();
            const Chunk& chunk = chunks_[asked++ % chunks_.size()];
            connection.requests().stream({chunk.id, 0, 0}, {}, sink_of(chunk),
                                         [&, begun](auto answer) {
                                             if (!answer)
                                                 fmt::print(stderr, "{}\n", answer.error().detail);
                                             KOLLATOR_CHECK(answer.ok());
                                             times.push_back(seconds_since(begun) * 1e3);
                                             --active;
                                             ask(connection);
                                         });
        };
        for (std::size_t lane = 0; lane < settings_.in_flight; ++lane) {
            for (const auto& connection : connections_) ask(*connection);
        }
        const auto begun = Clock::now();
        const auto is_over = [&] {
            return settings_.seconds > 0 && seconds_since(begun) > settings_.seconds;
        };
        wait([&] { return active == 0 || is_over(); });
        if (active > 0) connections_.clear();  // with what is under way
        return times;
    }

    void run() {
        const double memory = resident_kilobytes(settings_.pid);
        connect(settings_.connections);
        const double grown = resident_kilobytes(settings_.pid) - memory;
        if (settings_.idle_seconds > 0) return idle(grown);
        store();
        if (settings_.seconds > 0) return run_for_a_time();
        verify();
        const double worker = cpu_seconds(settings_.pid);
        const double own = own_cpu_seconds();
        const auto begun = Clock::now();
        std::vector<double> times = fetch(settings_.requests);
        const double seconds = seconds_since(begun);
        const double gigabytes =
            static_cast<double>(settings_.requests * settings_.size_bytes) / kGiga;
        std::sort(times.begin(), times.end());
        fmt::print(R"({{{},"megabytes_per_second":{:.1f},"per_second":{:.0f},"p50_ms":{:.2f},)"
                   R"("p99_ms":{:.2f},"worker_s_per_gb":{:.2f},"client_s_per_gb":{:.2f}}})"
                   "\n",
                   setup_, gigabytes * 1e3 / seconds, static_cast<double>(times.size()) / seconds,
                   times[times.size() / 2], times[times.size() * 99 / 100],
                   (cpu_seconds(settings_.pid) - worker) / gigabytes,
                   (own_cpu_seconds() - own) / gigabytes);
    }

 private:
    struct Chunk {
        ChunkId id;
        SharedBuffer bytes;
    };
    /// A socket for each connection, as tabs have: those of one socket to one worker could not be
    /// told apart.
    struct Client {
        Client(EventLoop& loop, const rtc::Certificate& certificate) {
            auto opened =
                rtc::open_endpoint(loop, system_clock(), crypto::system_random(), certificate, {});
            KOLLATOR_CHECK(opened.ok());
            endpoint = std::move(*opened);
            peer::DialerOptions options;
            options.hello.agent = "peer_load";
            // A worker that is measured may be slow.
            options.requests.liveness.tick = Duration::zero();
            dialer = std::make_unique<peer::Dialer>(loop, system_clock(), crypto::system_random(),
                                                    *endpoint, std::move(options));
        }
        std::unique_ptr<rtc::Endpoint> endpoint;
        std::unique_ptr<peer::Dialer> dialer;
    };

    void run_for_a_time() {
        const auto begun = Clock::now();
        (void)fetch(SIZE_MAX);
        fmt::print(R"({{"megabits_per_second":{:.1f}}})"
                   "\n",
                   static_cast<double>(received_bytes_) * 8 / 1e6 / seconds_since(begun));
    }

    /// Takes what comes, compared with what was stored.
    peer::FragmentSink sink_of(const Chunk& chunk) {
        return [this, &chunk](const protocol::ResponseFragment& part) -> Status {
            const ByteSpan stored = std::as_const(*chunk.bytes).span();
            KOLLATOR_CHECK(
                std::equal(part.data.begin(), part.data.end(), stored.begin() + part.offset));
            received_bytes_ += part.data.size();
            return {};
        };
    }

    void idle(double grown_kilobytes) {
        const double worker = cpu_seconds(settings_.pid);
        const auto begun = Clock::now();
        wait([&] { return seconds_since(begun) > settings_.idle_seconds; });
        const auto held = std::count_if(connections_.begin(), connections_.end(),
                                        [](const auto& one) { return one->open(); });
        fmt::print(R"({{{},"held":{},"kilobytes_each":{:.1f},"idle_cpu_percent":{:.2f}}})"
                   "\n",
                   setup_, held, grown_kilobytes / static_cast<double>(connections_.size()),
                   100 * (cpu_seconds(settings_.pid) - worker) / seconds_since(begun));
    }

    void wait(const std::function<bool()>& done) {
        KOLLATOR_CHECK(loop_.run_until(done, kDeadline));
    }

    const Settings settings_;
    EventLoop loop_;
    std::optional<rtc::Certificate> certificate_;
    std::vector<std::unique_ptr<Client>> clients_;
    std::vector<std::unique_ptr<peer::Connection>> connections_;
    std::vector<Chunk> chunks_;
    std::uint64_t received_bytes_ = 0;
    std::string setup_;
};

}  // namespace
}  // namespace kollator::bench

int main(int argc, char** argv) {
    kollator::bench::Settings settings;
    CLI::App app("A load generator over our own transport");
    app.add_option("--url", settings.url, "the worker's")->required();
    app.add_option("--pid", settings.pid, "the worker's")->required();
    app.add_option("--connections", settings.connections)->check(CLI::PositiveNumber);
    app.add_option("--in-flight", settings.in_flight, "requests at once, on each connection")
        ->check(CLI::Range(1, 64));
    app.add_option("--size", settings.size_bytes, "of a chunk, bytes")
        ->check(CLI::Range(1, 5 << 20));
    app.add_option("--chunks", settings.chunks)->check(CLI::PositiveNumber);
    app.add_option("--requests", settings.requests)->check(CLI::PositiveNumber);
    app.add_option("--seconds", settings.seconds);
    app.add_flag("!--no-store", settings.store);
    app.add_option("--idle-seconds", settings.idle_seconds);
    CLI11_PARSE(app, argc, argv);
    kollator::log::configure(kollator::log::Level::kError, "");
    kollator::bench::Load(std::move(settings)).run();
    return 0;
}
