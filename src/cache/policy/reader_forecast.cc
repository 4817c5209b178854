#include "cache/policy/reader_forecast.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "base/check.h"

namespace kollator::cache {
namespace {

/// Until a reader's second request: a chunk of 5 MB at 10 MB/s.
constexpr Duration kAssumedPace = std::chrono::milliseconds(500);
/// A reader's pace is the mean of its last few chunks: an eighth of each new one.
constexpr int kPaceWeight = 8;
constexpr int kMeanPaceWeight = 256;
/// How long it is remembered that a file was begun.
constexpr std::chrono::duration<double> kRateMemory = std::chrono::hours(6);

constexpr std::chrono::duration<double> kLongestWait = std::chrono::hours(24 * 365);

double faded(double count, std::chrono::duration<double> age) {
    return count * std::exp(-age / kRateMemory);
}

}  // namespace

ReaderForecast::ReaderForecast(Limits limits) : limits_(limits), mean_pace_(kAssumedPace) {}

bool ReaderForecast::learn(FileId id, std::span<const PolicyKey> chunks) {
    if (const auto known = files_.find(id); known != files_.end()) {
        file_order_.splice(file_order_.end(), file_order_, known->second.position);
        return false;
    }
    if (chunks.empty() || !make_room(chunks.size())) return false;
    File& file = files_[id];
    file.chunks.assign(chunks.begin(), chunks.end());
    listed_names_ += chunks.size();
    file.position = file_order_.insert(file_order_.end(), id);
    for (std::uint32_t index = 0; index < chunks.size(); ++index) {
        places_.try_emplace(chunks[index], Place{id, index});
    }
    return true;
}

bool ReaderForecast::make_room(std::size_t names) {
    if (names > limits_.max_names) return false;
    for (auto at = file_order_.begin();
         listed_names_ + names > limits_.max_names && at != file_order_.end();) {
        const FileId id = *at;
        const File& file = files_.at(id);
        const auto next = std::next(at);
        if (file.walks.empty()) {
            for (const PolicyKey key : file.chunks) {
                const auto place = places_.find(key);
                if (place != places_.end() && place->second.file == id) places_.erase(place);
            }
            file_order_.erase(at);
            listed_names_ -= file.chunks.size();
            files_.erase(id);
        }
        at = next;
    }
    return listed_names_ + names <= limits_.max_names;
}

void ReaderForecast::place(Walks::iterator walk) {
    files_.at(walk->first.second).walks.emplace(walk->second.index, walk);
    walk->second.position = walk_order_.insert(walk_order_.end(), walk->first);
}

void ReaderForecast::displace(Walks::iterator walk) {
    auto& walks = files_.at(walk->first.second).walks;
    auto [at, end] = walks.equal_range(walk->second.index);
    while (at != end && at->second != walk) ++at;
    KOLLATOR_CHECK(at != end);
    walks.erase(at);
    walk_order_.erase(walk->second.position);
}

std::span<const PolicyKey> ReaderForecast::ahead_of(const File& file, std::uint32_t index) {
    const auto next = file.walks.upper_bound(index);
    const std::size_t end =
        next == file.walks.end() ? file.chunks.size() : std::size_t{next->first} + 1;
    return std::span(file.chunks).subspan(index + 1, end - index - 1);
}

std::span<const PolicyKey> ReaderForecast::move(ReaderId reader, PolicyKey chunk, TimePoint now) {
    const auto found = places_.find(chunk);
    if (found == places_.end()) return {};
    const Place place_of_chunk = found->second;
    File& file = files_.at(place_of_chunk.file);
    const std::uint32_t index = place_of_chunk.index;
    file_order_.splice(file_order_.end(), file_order_, file.position);
    const WalkId id{reader, place_of_chunk.file};
    const auto known = walks_.find(id);
    if (known == walks_.end()) return begin_walk(id, file, index, now);
    Walk& walk = known->second;
    const std::uint32_t before = walk.index;
    displace(known);
    if (index > before) {
        const Duration pace = (now - walk.moved_at) / (index - before);
        walk.pace += (pace - walk.pace) / kPaceWeight;
        mean_pace_ += (pace - mean_pace_) / kMeanPaceWeight;
    }
    walk.index = index;
    walk.moved_at = now;
    place(known);
    if (index >= before) return std::span(file.chunks).subspan(before, index - before + 1);
    return ahead_of(file, index);
}

std::span<const PolicyKey> ReaderForecast::begin_walk(const WalkId& id, File& file,
                                                      std::uint32_t index, TimePoint now) {
    if (walks_.size() >= limits_.max_walks) return {};
    place(walks_.emplace(id, Walk{index, now, mean_pace_, {}}).first);
    file.begun = faded(file.begun, now - file.begun_at) + 1;
    file.begun_at = now;
    if (!first_begun_at_) first_begun_at_ = now;
    return ahead_of(file, index);
}

std::span<const PolicyKey> ReaderForecast::end_walk(Walks::iterator walk) {
    const File& file = files_.at(walk->first.second);
    const std::uint32_t index = walk->second.index;
    displace(walk);
    walks_.erase(walk);
    return ahead_of(file, index);
}

std::optional<std::span<const PolicyKey>> ReaderForecast::leave(ReaderId reader) {
    const auto walk = walks_.lower_bound({reader, 0});
    if (walk == walks_.end() || walk->first.first != reader) return std::nullopt;
    return end_walk(walk);
}

std::optional<std::span<const PolicyKey>> ReaderForecast::drop_silent(TimePoint now) {
    if (walk_order_.empty()) return std::nullopt;
    const auto oldest = walks_.find(walk_order_.front());
    if (now - oldest->second.moved_at < limits_.patience) return std::nullopt;
    return end_walk(oldest);
}

std::optional<TimePoint> ReaderForecast::next_use(PolicyKey chunk) const {
    if (walks_.empty()) return std::nullopt;
    const auto found = places_.find(chunk);
    if (found == places_.end()) return std::nullopt;
    const Place place = found->second;
    const auto& walks = files_.at(place.file).walks;
    // The nearest behind is taken for the first to come, whatever its pace.
    const auto ahead = walks.lower_bound(place.index);
    if (ahead == walks.begin()) return std::nullopt;
    const Walk& walk = std::prev(ahead)->second->second;
    return walk.moved_at + walk.pace * (place.index - walk.index);
}

std::optional<Duration> ReaderForecast::usual_wait(PolicyKey chunk, TimePoint now) const {
    if (!first_begun_at_) return std::nullopt;
    const auto found = places_.find(chunk);
    if (found == places_.end()) return std::nullopt;
    const File& file = files_.at(found->second.file);
    const double begun = faded(file.begun, now - file.begun_at);
    if (begun <= 0) return std::nullopt;
    // What has faded of the time, as of the count: the rate is right from the first hour on.
    const double counted = 1 - faded(1, now - *first_begun_at_);
    const std::chrono::duration<double> wait = (kRateMemory * counted + kShortHistory) / begun;
    return std::chrono::duration_cast<Duration>(std::min(wait, kLongestWait)) +
           mean_pace_ * found->second.index;
}

}  // namespace kollator::cache
