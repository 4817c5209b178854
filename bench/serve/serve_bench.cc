// What serving from the cache costs on the loop, without a network: real sessions, chunk service
// and disk cache over a transport that takes bytes at a rate and copies them, as the real one does.
//
//   serve_bench [readers, 50] [megabytes a second of all of them, 100] [seconds, 10]
//
// Prints Markdown: the time from a request's message to its first fragment in the transport, the
// time of a whole chunk, and the time of a CHUNK_STAT of 1,000 names.

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"
#include "chunk/store_chunk_service.h"
#include "crypto/hash.h"
#include "loop/system_clock.h"
#include "protocol/any_body.h"
#include "session/session.h"
#include "tests/support/fake_object_store.h"
#include "tests/support/temp_folder.h"

namespace kollator::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kChunkBytes = 5U << 20;
constexpr std::size_t kChunks = 40;
constexpr std::size_t kSmallChunks = 10'000;
constexpr std::size_t kFragmentBytes = 64 * 1024;
constexpr std::size_t kStatNames = 1000;
constexpr std::chrono::milliseconds kTick{1};
constexpr std::chrono::minutes kDeadline{5};

double microseconds(Clock::duration duration) {
    return std::chrono::duration<double, std::micro>(duration).count();
}

struct Percentiles {
    double p50 = 0, p99 = 0, max = 0;
};

Percentiles percentiles_of(std::vector<double> values) {
    KOLLATOR_CHECK(!values.empty());
    std::sort(values.begin(), values.end());
    const auto at = [&](double share) {
        return values[std::min(values.size() - 1, static_cast<std::size_t>(
                                                      static_cast<double>(values.size()) * share))];
    };
    return {at(0.5), at(0.99), values.back()};
}

/// Takes one fragment each time that it is given room.
class PacedTransport final : public session::SessionTransport {
 public:
    struct Wire {
        Bytes copied = Bytes(kFragmentBytes + 1024);
        std::size_t room = 0;
        std::size_t messages = 0;
        std::uint64_t bytes = 0;
        std::function<void(ByteSpan head)> on_message;
    };
    explicit PacedTransport(std::shared_ptr<Wire> wire) : wire_(std::move(wire)) {}

    Status send(ByteSpan head, ByteSpan body) override {
        if (wire_->room == 0) return make_error(ErrorCode::kLimit, "no room now");
        --wire_->room;
        std::copy(head.begin(), head.end(), wire_->copied.begin());
        std::copy(body.begin(), body.end(),
                  wire_->copied.begin() + static_cast<std::ptrdiff_t>(head.size()));
        ++wire_->messages;
        wire_->bytes += head.size() + body.size();
        wire_->on_message(head);
        return {};
    }
    std::size_t writable_bytes() const override { return wire_->room * kFragmentBytes; }
    std::size_t max_message_bytes() const override { return 256 * 1024; }
    bool ordered() const override { return true; }
    void close() override {}

 private:
    const std::shared_ptr<Wire> wire_;
};

class Bench {
 public:
    Bench() {
        cache::CacheOptions options;
        options.path = folder_.path() / "cache";
        options.max_bytes = 2'000'000'000;
        options.policy = cache::PolicyKind::kSessionAware;
        cache_ = cache::open_disk_cache(loop_, jobs_, posix_file_system(), system_clock(), options);
        options.path = folder_.path() / "metadata";
        metadata_ =
            cache::open_disk_cache(loop_, jobs_, posix_file_system(), system_clock(), options);
        chunks_ = chunk::make_chunk_service(loop_, jobs_, system_clock(), *cache_, *metadata_,
                                            store_, {}, metrics_);
        context_ = std::make_unique<session::SessionContext>(
            session::SessionServices{.chunks = *chunks_,
                                     .loop = loop_,
                                     .clock = system_clock(),
                                     .metrics = metrics_,
                                     .limits = {},
                                     .worker_id = "bench",
                                     .agent = "bench",
                                     .features = {},
                                     .health = [] { return std::string("{}"); }});
        for (std::size_t n = 0; n < kChunks; ++n) large_.push_back(put(kChunkBytes, n));
    }

    void first_fragments(std::size_t readers, double megabytes_per_second, int seconds);
    void whole_chunks();
    void stats(std::size_t cached);

 private:
    struct Peer {
        std::unique_ptr<session::Session> session;
        std::shared_ptr<PacedTransport::Wire> wire = std::make_shared<PacedTransport::Wire>();
        session::ChannelHandle channel{};
        bool idle = true;
        bool first = false;
        Clock::time_point asked;
        std::uint32_t next_id = 1;
        double next_turn = 0;  // in ticks
    };

    ChunkId put(std::size_t size_bytes, std::uint64_t seed) {
        auto buffer = std::make_shared<Buffer>(size_bytes);
        SeededRandom random(seed);
        random.fill(buffer->span());
        const ChunkId id(crypto::sha256(std::as_const(*buffer).span()));
        bool done = false;
        cache_->insert(id, std::move(buffer), [&](const Status& status) {
            KOLLATOR_CHECK(status.ok());
            done = true;
        });
        KOLLATOR_CHECK(loop_.run_until([&] { return done; }, kDeadline));
        return id;
    }
    std::unique_ptr<Peer> connect() {
        auto peer = std::make_unique<Peer>();
        peer->session = session::make_session(*context_, {"bench", [](const std::string&) {}, {}});
        peer->channel = *peer->session->add_channel(std::make_unique<PacedTransport>(peer->wire));
        return peer;
    }
    void ask(Peer& peer, const ChunkId& id) {
        peer.idle = false;
        peer.first = true;
        peer.asked = Clock::now();
        const Bytes message = protocol::encode_message(
            {protocol::MessageType::kChunkRequest, {}, protocol::RequestId{peer.next_id++}},
            protocol::ChunkRequest{id, 0, 0});
        peer.session->on_message(peer.channel, message, true);
    }

    testing_support::TempFolder folder_;
    MetricsRegistry metrics_;
    EventLoop loop_;
    JobPool jobs_{2};
    testing_support::FakeObjectStore store_{loop_};
    std::unique_ptr<cache::DiskCache> cache_, metadata_;
    std::unique_ptr<chunk::StoreChunkService> chunks_;
    std::unique_ptr<session::SessionContext> context_;
    std::vector<ChunkId> large_;
};

void Bench::first_fragments(std::size_t readers, double megabytes_per_second, int seconds) {
    std::vector<double> times;
    std::vector<std::unique_ptr<Peer>> peers;
    const double fragments_a_tick = megabytes_per_second * 1e6 / kFragmentBytes / 1000;
    const double ticks_each = static_cast<double>(readers) / fragments_a_tick;
    SeededRandom random(1);
    for (std::size_t n = 0; n < readers; ++n) {
        peers.push_back(connect());
        Peer& peer = *peers.back();
        peer.next_turn = ticks_each * static_cast<double>(n) / static_cast<double>(readers);
        peer.wire->on_message = [&peer, &times](ByteSpan head) {
            if (std::exchange(peer.first, false)) {
                times.push_back(microseconds(Clock::now() - peer.asked));
            }
            if (!protocol::Flags::from_bits(head[1]).has(protocol::Flag::kMore)) peer.idle = true;
        };
    }
    double tick = 0;
    Timer timer(loop_);
    std::function<void()> turn = [&] {
        timer.start_after(kTick, turn);
        ++tick;
        for (const auto& peer : peers) {
            if (peer->next_turn > tick) continue;
            peer->next_turn += ticks_each;
            peer->wire->room = 1;
            if (peer->idle) {
                ask(*peer, large_[random.u32() % large_.size()]);
            } else {
                peer->session->on_writable(peer->channel);
            }
        }
    };
    turn();
    const auto begun = Clock::now();
    (void)loop_.run_until([&] { return Clock::now() - begun > std::chrono::seconds(seconds); },
                          kDeadline);
    timer.cancel();
    const double took = std::chrono::duration<double>(Clock::now() - begun).count();
    std::uint64_t bytes = 0;
    for (const auto& peer : peers) bytes += peer->wire->bytes;
    const Percentiles first = percentiles_of(times);
    fmt::print(
        "| request to first fragment, {} readers, {:.0f} MB/s | {} | {:.0f} | {:.0f} | {:.0f} |\n",
        readers, static_cast<double>(bytes) / 1e6 / took, times.size(), first.p50, first.p99,
        first.max);
}

/// As fast as the loop reads: every block checked.
void Bench::whole_chunks() {
    std::vector<double> times;
    for (std::size_t round = 0; round < 10; ++round) {
        for (const ChunkId& id : large_) {
            const auto begun = Clock::now();
            bool ready = true;
            const auto reader = chunks_->open(id, 0, 0, [&] { ready = true; });
            while (!reader->finished()) {
                const auto slice = reader->next(kFragmentBytes);
                KOLLATOR_CHECK(slice.ok());
                if (*slice) continue;
                ready = false;
                KOLLATOR_CHECK(loop_.run_until([&] { return ready; }, kDeadline));
            }
            times.push_back(microseconds(Clock::now() - begun));
        }
    }
    const Percentiles whole = percentiles_of(times);
    fmt::print(
        "| a whole cached chunk of 5 MiB, read and checked | {} | {:.0f} | {:.0f} | {:.0f} |\n",
        times.size(), whole.p50, whole.p99, whole.max);
}

/// As a session does it, from the message to the answer. Half of the names are cached.
void Bench::stats(std::size_t cached) {
    std::vector<ChunkId> names = large_;
    for (std::uint64_t n = names.size(); n < cached; ++n) names.push_back(put(100, 1'000'000 + n));
    const auto peer = connect();
    peer->wire->room = SIZE_MAX;
    std::size_t answers = 0;
    peer->wire->on_message = [&](ByteSpan) { ++answers; };
    SeededRandom random(7);
    std::vector<double> times;
    for (std::uint32_t round = 0; round < 300; ++round) {
        protocol::StatRequest request{{}, true};
        for (std::size_t n = 0; n < kStatNames; ++n) {
            std::array<std::uint8_t, 32> unknown{};
            random.fill(unknown);
            request.ids.push_back(n % 2 == 0 ? names[random.u32() % names.size()]
                                             : ChunkId(unknown));
        }
        const Bytes message = protocol::encode_message(
            {protocol::MessageType::kChunkStat, {}, protocol::RequestId{round + 1}}, request);
        const auto begun = Clock::now();
        peer->session->on_message(peer->channel, message, true);
        times.push_back(microseconds(Clock::now() - begun));
    }
    KOLLATOR_CHECK(answers == times.size());
    const Percentiles stat = percentiles_of(times);
    fmt::print("| CHUNK_STAT of 1,000 names, {} chunks cached | {} | {:.0f} | {:.0f} | {:.0f} |\n",
               names.size(), times.size(), stat.p50, stat.p99, stat.max);
}

int main_with(int count, char** arguments) {
    const auto argument = [&](int index, int otherwise) {
        return index < count ? std::atoi(arguments[index]) : otherwise;
    };
    log::configure(log::Level::kError, "");
    Bench bench;
    fmt::print("| what | times | p50 µs | p99 µs | max µs |\n| --- | --- | --- | --- | --- |\n");
    bench.first_fragments(static_cast<std::size_t>(argument(1, 50)), argument(2, 100),
                          argument(3, 10));
    bench.whole_chunks();
    bench.stats(60);
    bench.stats(kSmallChunks);
    return 0;
}

}  // namespace
}  // namespace kollator::bench

int main(int count, char** arguments) {
    return kollator::bench::main_with(count, arguments);
}
