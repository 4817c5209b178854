// Hit ratios of the cache's policies, and of Belady's MIN, on traces that are made here or read
// from files: cache_sim [trace files: *.csv, *.oracleGeneral]
// Those of readers who go through files, with a cache of 60 chunks: cache_sim sequential
// What a policy costs: cache_sim cost
// What clients gain who ask what is resident before they choose: cache_sim hints

#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include "bench/cache_sim/downloads.h"
#include "bench/cache_sim/informed.h"
#include "bench/cache_sim/simulator.h"
#include "bench/cache_sim/trace.h"
#include "bench/cache_sim/trace_file.h"

namespace kollator::bench {
namespace {

constexpr std::size_t kChunks = 10'000;
constexpr std::size_t kRequests = 400'000;
constexpr std::uint64_t kSeed = 20261122;
constexpr std::array<std::size_t, 3> kConcurrent = {20, 100, 500};
/// 60 chunks, as in 300 MB.
constexpr std::uint64_t kSmallCacheBytes = 60 * kChunkBytes;
constexpr std::array kPolicies = {cache::PolicyKind::kLru, cache::PolicyKind::kS3Fifo,
                                  cache::PolicyKind::kTinyLfu, cache::PolicyKind::kSessionAware};

void print_row(const Trace& trace, const std::string& size, const std::string& policy,
               const Outcome& outcome, double min_ratio) {
    std::printf("| %s | %s | %s | %.1f | %.1f | %.0f | %.2f | %.0f |\n", trace.name.c_str(),
                size.c_str(), policy.c_str(), 100 * outcome.object_hit_ratio(),
                100 * outcome.byte_hit_ratio(),
                min_ratio > 0 ? 100 * outcome.object_hit_ratio() / min_ratio : 0,
                static_cast<double>(outcome.written) / static_cast<double>(outcome.requests),
                outcome.nanoseconds_per_request);
}

void run(const Trace& trace, const std::string& size, std::uint64_t max_bytes) {
    const std::size_t warm_up = trace.requests.size() / 4;
    const Outcome best = simulate_min(trace, max_bytes, warm_up);
    for (const cache::PolicyKind kind : kPolicies) {
        print_row(trace, size, std::string(cache::name_of(kind)),
                  simulate(trace, kind, max_bytes, warm_up), best.object_hit_ratio());
    }
    if (!trace.files.empty() && max_bytes == kSmallCacheBytes) {
        print_row(trace, size, "informed", simulate_informed(trace, max_bytes, warm_up),
                  best.object_hit_ratio());
    }
    print_row(trace, size, "MIN", best, best.object_hit_ratio());
}

void run_sizes(const Trace& trace) {
    run(trace, "60 chunks", kSmallCacheBytes);
    const std::uint64_t footprint = trace.footprint_bytes();
    for (const auto& [name, parts] : {std::pair("0.1 %", 1000), {"1 %", 100}, {"10 %", 10}}) {
        run(trace, name, footprint / static_cast<std::uint64_t>(parts));
    }
}

/// The policy alone, and with the index, with a million entries.
void run_cost() {
    const Trace trace = zipf_trace(0.8, 4'000'000, 3'000'000, kSeed);
    const std::uint64_t max_bytes = 1'000'000 * kChunkBytes;
    std::printf(
        "\n| 1 M entries | the policy, CPU ns a request | with the index |\n"
        "| --- | --- | --- |\n");
    for (const cache::PolicyKind kind : kPolicies) {
        const Outcome outcome = simulate(trace, kind, max_bytes, 0);
        std::printf("| %s | %.0f | %.0f |\n", std::string(cache::name_of(kind)).c_str(),
                    policy_nanoseconds(trace, kind, max_bytes), outcome.nanoseconds_per_request);
        std::fflush(stdout);
    }
}

/// Downloads of whole files with a cache of 60 chunks: in file order, and with hot hints.
void run_downloads() {
    std::printf(
        "\n| files | clients | policy | in file order | resident first |\n"
        "| --- | --- | --- | --- | --- |\n");
    for (const auto& [files, clients] : {std::pair(10'000, 100),
                                         {10'000, 1000},
                                         {1000, 100},
                                         {1000, 1000},
                                         {100, 100},
                                         {100, 1000}}) {
        for (const cache::PolicyKind kind : {cache::PolicyKind::kLru, cache::PolicyKind::kTinyLfu,
                                             cache::PolicyKind::kSessionAware}) {
            Downloads downloads;
            downloads.files = static_cast<std::size_t>(files);
            downloads.clients = static_cast<std::size_t>(clients);
            const Outcome plain = simulate_downloads(downloads, kind, kSmallCacheBytes);
            downloads.hints = Downloads::Hints::kResidentFirst;
            const Outcome hinted = simulate_downloads(downloads, kind, kSmallCacheBytes);
            std::printf("| %d | %d | %s | %.1f | %.1f |\n", files, clients,
                        std::string(cache::name_of(kind)).c_str(), 100 * plain.object_hit_ratio(),
                        100 * hinted.object_hit_ratio());
            std::fflush(stdout);
        }
    }
}

int main_with(const std::vector<std::string>& files) {
    if (files == std::vector<std::string>{"cost"}) {
        run_cost();
        return 0;
    }
    if (files == std::vector<std::string>{"hints"}) {
        run_downloads();
        return 0;
    }
    std::printf(
        "| trace | cache | policy | object hits %% | byte hits %% | of MIN %% | "
        "written a request | ns a request |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n");
    if (files == std::vector<std::string>{"sequential"}) {
        for (const std::size_t concurrent : kConcurrent) {
            run(sequential_trace(kChunks, kRequests, concurrent, kSeed), "60 chunks",
                kSmallCacheBytes);
        }
        return 0;
    }
    for (const std::string& path : files) {
        const auto trace = read_trace(path);
        if (!trace) {
            std::fprintf(stderr, "cache_sim: %s\n", trace.error().detail.c_str());
            return 2;
        }
        run_sizes(*trace);
    }
    if (!files.empty()) return 0;
    for (const double exponent : {0.6, 0.7, 0.8, 0.9, 1.0}) {
        run_sizes(zipf_trace(exponent, kChunks, kRequests, kSeed));
    }
    run_sizes(fetch_once_trace(kChunks, 1000, kRequests, kSeed));
    for (const std::size_t concurrent : kConcurrent) {
        run_sizes(sequential_trace(kChunks, kRequests, concurrent, kSeed));
    }
    run_sizes(shock_trace(kChunks, kRequests, kSeed));
    run_sizes(scan_trace(kChunks, kRequests, kSeed));
    run_cost();
    return 0;
}

}  // namespace
}  // namespace kollator::bench

int main(int argc, char** argv) {
    return kollator::bench::main_with({argv + 1, argv + argc});
}
