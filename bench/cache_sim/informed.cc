#include "bench/cache_sim/informed.h"

#include <algorithm>
#include <limits>
#include <unordered_map>
#include <vector>

namespace kollator::bench {
namespace {

using Seconds = std::chrono::duration<double>;

double seconds_of(TimePoint at) {
    return Seconds(at.time_since_epoch()).count();
}

class Knowledge {
 public:
    explicit Knowledge(const Trace& trace) {
        std::unordered_map<cache::ReaderId, double> begun;
        for (const Request& request : trace.requests) {
            begun.try_emplace(request.reader, seconds_of(request.at));
            chunks_[request.key].uses.push_back({seconds_of(request.at), begun[request.reader]});
        }
        const double whole = seconds_of(trace.requests.back().at);
        const double pace =
            whole * mean_readers(trace) / static_cast<double>(trace.requests.size());
        for (const auto& file : trace.files) {
            // Every reader begins with the first chunk.
            const auto first = chunks_.find(file.front());
            const double begins =
                first == chunks_.end() ? 0 : static_cast<double>(first->second.uses.size());
            for (std::size_t index = 0; index < file.size(); ++index) {
                chunks_[file[index]].usual_seconds =
                    begins > 0 ? whole / begins + pace * static_cast<double>(index) : kNever;
            }
        }
    }

    void used(cache::PolicyKey key) { ++chunks_.at(key).used; }

    /// Seconds until its next use, as far as it can be known at `now`.
    double expect(cache::PolicyKey key, double now) const {
        const Chunk& chunk = chunks_.at(key);
        for (std::size_t n = chunk.used; n < chunk.uses.size(); ++n) {
            const double wait = chunk.uses[n].at - now;
            if (wait >= chunk.usual_seconds) break;
            if (chunk.uses[n].reader_begun <= now) return wait;
        }
        return chunk.usual_seconds;
    }

 private:
    static constexpr double kNever = std::numeric_limits<double>::infinity();
    struct Use {
        double at = 0;
        double reader_begun = 0;
    };
    struct Chunk {
        std::vector<Use> uses;
        std::size_t used = 0;
        double usual_seconds = kNever;
    };

    /// Readers at a time.
    static double mean_readers(const Trace& trace) {
        std::unordered_map<cache::ReaderId, std::pair<double, double>> spans;
        for (const Request& request : trace.requests) {
            const double at = seconds_of(request.at);
            spans.try_emplace(request.reader, at, at).first->second.second = at;
        }
        double sum = 0;
        for (const auto& [reader, span] : spans) sum += span.second - span.first;
        return sum / seconds_of(trace.requests.back().at);
    }

    std::unordered_map<cache::PolicyKey, Chunk> chunks_;
};

}  // namespace

Outcome simulate_informed(const Trace& trace, std::uint64_t max_bytes, std::size_t warm_up) {
    Knowledge knowledge(trace);
    const std::size_t capacity = max_bytes / kChunkBytes;
    std::vector<cache::PolicyKey> kept;
    Outcome outcome;
    for (std::size_t n = 0; n < trace.requests.size(); ++n) {
        const Request& request = trace.requests[n];
        const double now = seconds_of(request.at);
        knowledge.used(request.key);
        const bool hit = std::find(kept.begin(), kept.end(), request.key) != kept.end();
        if (n >= warm_up) {
            ++outcome.requests;
            outcome.requested_bytes += request.bytes;
            outcome.hits += hit ? 1 : 0;
            outcome.hit_bytes += hit ? request.bytes : 0;
        }
        if (hit) continue;
        if (kept.size() < capacity) {
            kept.push_back(request.key);
            ++outcome.written;
            continue;
        }
        auto last = kept.end();
        double longest = knowledge.expect(request.key, now);
        for (auto each = kept.begin(); each != kept.end(); ++each) {
            const double expected = knowledge.expect(*each, now);
            if (expected <= longest) continue;
            longest = expected;
            last = each;
        }
        if (last == kept.end()) continue;
        *last = request.key;
        ++outcome.written;
    }
    return outcome;
}

}  // namespace kollator::bench
