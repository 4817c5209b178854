// A campaign against the store's client: a proxy between a worker and Ceph's gateway does
// everything wrong that a store, or something between, has been seen to do, while chunks are
// fetched and stored through the chunk service.
//
//   KOLLATOR_FAULT_ROUNDS   rounds of each kind of fault, for fetching and for storing (50 is the
//                           full campaign)

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "tests/support/chunk_worker.h"
#include "tests/support/fault_proxy.h"
#include "tests/support/rgw.h"

namespace kollator::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto kDeadline = std::chrono::minutes(9);
constexpr std::size_t kAtOnce = 32;
constexpr std::uint64_t kCacheBytes = 4'000'000'000;
/// Room for a machine that does much else; the figure itself is printed.
constexpr auto kCachedWhileDown = milliseconds(250);
constexpr std::size_t kCachedReads = 2000;

std::size_t rounds() {
    const char* const given = std::getenv("KOLLATOR_FAULT_ROUNDS");
    return given != nullptr ? std::strtoul(given, nullptr, 10) : 5;
}

/// Most chunks of a browser's last part are small; a whole one is 5 MiB.
std::size_t size_for(SeededRandom& random) {
    const std::uint32_t dice = random.u32() % 100;
    const std::size_t most = dice < 85   ? 64 << 10
                             : dice < 97 ? 256 << 10
                             : dice < 99 ? 1 << 20
                                         : 5 << 20;
    return most - random.u32() % 1000;
}

enum class What { kGet, kPut };

/// One chunk that is fetched or stored, and what happens to the first request for it.
struct Step {
    What what = What::kGet;
    StoreFault fault = StoreFault::kNone;
    SharedBuffer bytes;  ///< of a PUT; given up at its end
    ChunkId id;
};

class Campaign {
 public:
    Campaign(ChunkWorker& worker, std::vector<Step> steps)
        : worker_(worker), steps_(std::move(steps)) {}

    bool run() {
        for (std::size_t lane = 0; lane < kAtOnce; ++lane) next();
        return worker_.run_until([this] { return ended_ == steps_.size(); }, kDeadline);
    }

    std::size_t wrong = 0;      ///< chunks given out whole with other bytes
    std::size_t not_found = 0;  ///< of chunks that are there
    std::vector<ChunkId> acknowledged;
    std::map<StoreFault, std::pair<std::size_t, std::size_t>> succeeded;  ///< of GETs, of PUTs

 private:
    void next() {
        if (started_ == steps_.size()) return;
        const std::size_t index = started_++;
        Step& step = steps_[index];
        if (step.what == What::kPut) {
            worker_.service().store(step.id, std::exchange(step.bytes, nullptr),
                                    [this, index](const Result<chunk::StoreOutcome>& outcome) {
                                        if (outcome) acknowledge(steps_[index]);
                                        end();
                                    });
            return;
        }
        auto& read = reads_[index];
        read = std::make_unique<ChunkWorker::Read>(worker_, step.id,
                                                   [this, index] { finish_read(index); });
    }
    void acknowledge(const Step& step) {
        acknowledged.push_back(step.id);
        ++succeeded[step.fault].second;
    }
    void finish_read(std::size_t index) {
        const auto read = std::move(reads_.at(index));
        reads_.erase(index);
        wrong += read->is_wrong() ? 1 : 0;
        if (read->is_right()) ++succeeded[steps_[index].fault].first;
        if (read->error() && read->error()->code == ErrorCode::kNotFound) ++not_found;
        end();
    }
    void end() {
        ++ended_;
        next();
    }

    ChunkWorker& worker_;
    std::vector<Step> steps_;
    std::unordered_map<std::size_t, std::unique_ptr<ChunkWorker::Read>> reads_;
    std::size_t started_ = 0;
    std::size_t ended_ = 0;
};

/// Gives each chunk's first request its fault; what comes later gets through.
class FirstRequestFaults {
 public:
    void set(const ChunkId& id, StoreFault fault) { faults_[id.hex()] = fault; }
    StoreFault operator()(const std::string& path) {
        const std::lock_guard lock(mutex_);
        const auto found = faults_.find(path.substr(path.rfind('/') + 1));
        if (found == faults_.end()) return StoreFault::kNone;
        const StoreFault fault = found->second;
        faults_.erase(found);
        return fault;
    }

 private:
    std::mutex mutex_;
    std::unordered_map<std::string, StoreFault> faults_;
};

class StoreFaults : public ::testing::Test {
 protected:
    void SetUp() override {
        auto started = RgwServer::start();
        ASSERT_TRUE(started.ok()) << started.error().detail;
        server_ = std::make_unique<RgwServer>(std::move(*started));
        proxy_ = std::make_unique<FaultProxy>(server_->endpoint());
    }

    store::S3Options impatient() const {
        store::S3Options options = s3_options(*server_);
        options.endpoint = proxy_->endpoint();
        options.stall_timeout = seconds(1);
        options.backoff_base = milliseconds(5);
        options.backoff_cap = milliseconds(50);
        options.retry_floor = 2;
        options.breaker_min_silence = milliseconds(250);
        options.breaker_min_wait = milliseconds(50);
        options.breaker_max_wait = milliseconds(200);
        return options;
    }

    /// Puts chunks into the store without the proxy, for GETs to find.
    std::vector<ChunkId> seed(std::size_t count) {
        ChunkWorker direct(s3_options(*server_), kCacheBytes);
        std::vector<ChunkId> ids(count);
        std::vector<store::TransferHandle> handles(count);
        std::size_t begun = 0;
        std::size_t stored = 0;
        std::function<void()> next = [&] {
            if (begun == count) return;
            const std::size_t index = begun++;
            const SharedBuffer bytes = content_of(++seed_, size_for(sizes_));
            ids[index] = ChunkId(crypto::sha256(bytes->span()));
            handles[index] = direct.store().put(store::ObjectKey(ids[index]), bytes,
                                                ids[index].bytes(), [&](const auto& outcome) {
                                                    EXPECT_TRUE(outcome.ok());
                                                    ++stored;
                                                    next();
                                                });
        };
        for (std::size_t lane = 0; lane < kAtOnce; ++lane) next();
        EXPECT_TRUE(direct.run_until([&] { return stored == count; }, kDeadline));
        return ids;
    }

    /// For each kind and round a GET and a PUT that it happens to, and one of each that it does
    /// not; the kinds mixed, but those last that make the worker send little at once.
    std::vector<Step> plan(std::size_t rounds_of_each, FirstRequestFaults& faults) {
        std::vector<StoreFault> kinds;
        for (auto kind = static_cast<int>(kFirstFault); kind <= static_cast<int>(kLastFault);
             ++kind) {
            for (std::size_t i = 0; i < rounds_of_each; ++i) {
                kinds.push_back(static_cast<StoreFault>(kind));
            }
        }
        const std::vector<ChunkId> there = seed(2 * kinds.size());
        std::vector<Step> quick;
        std::vector<Step> slow;
        for (std::size_t i = 0; i < kinds.size(); ++i) {
            std::vector<Step>& steps = kinds[i] < kFirstSlowDown ? quick : slow;
            for (const StoreFault fault : {kinds[i], StoreFault::kNone}) {
                steps.push_back(Step{What::kGet, fault, nullptr,
                                     there[2 * i + (fault == StoreFault::kNone ? 1 : 0)]});
                faults.set(steps.back().id, fault);
                const SharedBuffer bytes = content_of(++seed_, size_for(sizes_));
                steps.push_back(
                    Step{What::kPut, fault, bytes, ChunkId(crypto::sha256(bytes->span()))});
                faults.set(steps.back().id, fault);
            }
        }
        for (auto* steps : {&quick, &slow}) {
            for (std::size_t i = steps->size(); i > 1; --i) {
                std::swap((*steps)[i - 1], (*steps)[sizes_.u32() % i]);
            }
        }
        quick.insert(quick.end(), slow.begin(), slow.end());
        return quick;
    }

    /// Straight at the gateway, every byte.
    std::size_t count_lost(const std::vector<ChunkId>& ids) {
        ChunkWorker direct(s3_options(*server_), kCacheBytes);
        std::size_t lost = 0;
        std::size_t ended = 0;
        std::size_t begun = 0;
        std::vector<store::TransferHandle> handles(ids.size());
        std::function<void()> next = [&] {
            if (begun == ids.size()) return;
            const std::size_t index = begun++;
            handles[index] = direct.store().get(
                store::ObjectKey(ids[index]), {}, nullptr,
                [&, index](const Result<SharedBuffer>& got) {
                    lost += !got || ChunkId(crypto::sha256((*got)->span())) != ids[index] ? 1 : 0;
                    ++ended;
                    next();
                });
        };
        for (std::size_t lane = 0; lane < kAtOnce; ++lane) next();
        EXPECT_TRUE(direct.run_until([&] { return ended == ids.size(); }, kDeadline));
        return lost;
    }

    std::unique_ptr<RgwServer> server_;
    std::unique_ptr<FaultProxy> proxy_;
    SeededRandom sizes_{20261122};
    std::uint64_t seed_ = 0;
};

/// How long the cached chunks take, one after the other, while misses and stores fail beside them.
std::vector<Duration> read_cached(ChunkWorker& worker, const std::vector<cache::CacheEntry>& cached,
                                  std::size_t reads) {
    std::vector<Duration> times;
    std::uint64_t seed = 1'000'000'000;
    for (std::size_t i = 0; i < reads; ++i) {
        const SharedBuffer fresh = content_of(++seed, 1000);
        const ChunkId fresh_id(crypto::sha256(fresh->span()));
        bool refused = false;
        worker.service().store(fresh_id, fresh,
                               [&](const auto& outcome) { refused = !outcome.ok(); });
        ChunkWorker::Read missing(worker, ChunkId(crypto::sha256(as_bytes(std::to_string(seed)))));
        ChunkWorker::Read read(worker, cached[i % cached.size()].id);
        EXPECT_TRUE(worker.run_until([&] { return read.ended() && missing.ended() && refused; },
                                     kDeadline));
        EXPECT_TRUE(read.is_right());
        EXPECT_NE(missing.error()->code, ErrorCode::kNotFound);
        times.push_back(read.took());
    }
    std::sort(times.begin(), times.end());
    return times;
}

double as_ms(Duration duration) {
    return std::chrono::duration<double, std::milli>(duration).count();
}

/// Gives what was sent over what was sent for the first time; that is less than what was asked for,
/// since an open circuit sends nothing.
double print_campaign(std::size_t asked, const store::StoreStats& stats, std::size_t acknowledged,
                      Duration took) {
    const double amplification =
        static_cast<double>(stats.requests) / static_cast<double>(stats.requests - stats.retries);
    fmt::print(
        "{} rounds of {} kinds, {:.0f} s: {} asked, {} requests, {} of them retries (amplification "
        "{:.3f}; {} retries refused by the budget, {} requests by the circuit), {} acknowledged\n",
        rounds(), static_cast<int>(kLastFault), as_ms(took) / 1000, asked, stats.requests,
        stats.retries, amplification, stats.retries_refused, stats.refused, acknowledged);
    return amplification;
}

TEST_F(StoreFaults, NothingWrongIsServedAndNothingAcknowledgedIsLost) {
    FirstRequestFaults faults;
    std::vector<Step> steps = plan(rounds(), faults);
    const std::size_t asked = steps.size();
    proxy_->set_plan([&](const std::string&, const std::string& path) { return faults(path); });
    ChunkWorker worker(impatient(), kCacheBytes);
    const TimePoint begin = worker.loop().now();
    Campaign campaign(worker, std::move(steps));
    ASSERT_TRUE(campaign.run());

    const auto sent = proxy_->requests();
    const store::StoreStats stats = worker.store().stats();
    const double amplification =
        print_campaign(asked, stats, campaign.acknowledged.size(), worker.loop().now() - begin);
    for (const auto& [fault, counts] : campaign.succeeded) {
        fmt::print("  {:<22} GET {:>5}  PUT {:>5}\n", name_of(fault), counts.first, counts.second);
    }
    EXPECT_EQ(campaign.wrong, 0U);
    EXPECT_EQ(campaign.not_found, 0U);
    EXPECT_LE(amplification, 1.1);
    EXPECT_LE(sent, stats.requests);  // nothing below the client sends a request again
    // What had no fault got through, but for what an open circuit or a skewed clock took along.
    EXPECT_GT(campaign.succeeded[StoreFault::kNone].first, asked / 4 * 6 / 10);
    EXPECT_EQ(count_lost(campaign.acknowledged), 0U);

    proxy_->down();
    const auto cached = worker.cache().list(ChunkId(), 100'000);
    ASSERT_GE(cached.size(), campaign.acknowledged.size() / 2);
    const auto times = read_cached(worker, cached, std::max(kCachedReads, cached.size()));
    const Duration p99 = times[times.size() * 99 / 100];
    fmt::print("{} cached chunks while the store is down: p50 {:.2f} ms, p99 {:.2f} ms\n",
               times.size(), as_ms(times[times.size() / 2]), as_ms(p99));
    EXPECT_LT(p99, kCachedWhileDown);

    proxy_->up();
    proxy_->set_plan(nullptr);
    const std::vector<ChunkId> more = seed(1);
    std::unique_ptr<ChunkWorker::Read> read;
    EXPECT_TRUE(worker.run_until(
        [&] {
            if (!read || read->error()) read = std::make_unique<ChunkWorker::Read>(worker, more[0]);
            return read->is_right();
        },
        kDeadline));
}

}  // namespace
}  // namespace kollator::testing
