#include "chunk/prefetch_plan.h"

#include <algorithm>
#include <iterator>

namespace kollator::chunk {
namespace {

/// Until a reader's second request: a chunk of 5 MB at 10 MB/s.
constexpr Duration kAssumedPace = std::chrono::milliseconds(500);
/// A pause says nothing of the pace.
constexpr Duration kSlowestPace = std::chrono::seconds(5);
constexpr Duration kFastestPace = std::chrono::microseconds(100);
/// Each new request's share of the pace, and each fetch's of the latency: a quarter and an eighth.
constexpr int kPaceWeight = 4;
constexpr int kLatencyWeight = 8;
/// A request so far ahead of the last one is still in order: the reader has the rest already.
constexpr std::uint32_t kMaxStep = 4;
/// Behind the furthest request by so much: a pipelined request that was overtaken, or a retry.
constexpr std::uint32_t kMaxOvertaken = 8;

}  // namespace

// --- files -------------------------------------------------------------------------------------

bool PrefetchPlan::is_known(const std::vector<ChunkId>& chunks) {
    const auto place = places_.find(chunks.front());
    if (place == places_.end()) return false;
    const File& file = files_.at(place->second.file);
    if (file.chunks != chunks) return false;
    file_order_.splice(file_order_.end(), file_order_, file.position);
    return true;
}

void PrefetchPlan::learn(const std::vector<ChunkId>& chunks, std::uint32_t chunk_bytes) {
    if (limits_.depth == 0 || chunks.size() < 2 || is_known(chunks) || !make_room(chunks.size())) {
        return;
    }
    const FileId id = next_file_++;
    File& file = files_[id];
    file.chunks = chunks;
    listed_names_ += chunks.size();
    file.chunk_bytes = chunk_bytes;
    file.position = file_order_.insert(file_order_.end(), id);
    for (std::uint32_t index = 0; index < chunks.size(); ++index) {
        places_.try_emplace(chunks[index], Place{id, index});
    }
}

bool PrefetchPlan::make_room(std::size_t names) {
    if (names > limits_.max_names) return false;
    for (auto at = file_order_.begin();
         listed_names_ + names > limits_.max_names && at != file_order_.end();) {
        const FileId id = *at++;
        if (files_.at(id).walks.empty()) forget_file(id);
    }
    return listed_names_ + names <= limits_.max_names;
}

void PrefetchPlan::forget_file(FileId id) {
    const auto found = files_.find(id);
    for (const ChunkId& chunk : found->second.chunks) {
        const auto place = places_.find(chunk);
        if (place != places_.end() && place->second.file == id) places_.erase(place);
    }
    file_order_.erase(found->second.position);
    listed_names_ -= found->second.chunks.size();
    files_.erase(found);
}

// --- readers -----------------------------------------------------------------------------------

bool PrefetchPlan::reader_at(ReaderId reader, const ChunkId& id, TimePoint now) {
    const auto found = places_.find(id);
    if (found == places_.end()) return false;
    const Place place = found->second;
    File& file = files_.at(place.file);
    file_order_.splice(file_order_.end(), file_order_, file.position);
    const WalkId walk_id{reader, place.file};
    const auto known = file.walks.find(reader);
    if (known != file.walks.end()) {
        Walk& walk = known->second;
        walk_order_.splice(walk_order_.end(), walk_order_, walk.position);
        const bool jumped = !advance(walk, place.index, now);
        take_turn(walk_id, walk);
        return jumped;
    }
    if (walk_order_.size() >= limits_.max_walks) return false;
    Walk& walk = file.walks[reader];
    walk.front = place.index;
    walk.streak = place.index == 0 ? 1 : 0;
    walk.pace = kAssumedPace;
    walk.moved_at = now;
    walk.position = walk_order_.insert(walk_order_.end(), walk_id);
    readers_[reader].push_back(place.file);
    take_turn(walk_id, walk);
    return false;
}

/// False where it is a jump.
bool PrefetchPlan::advance(Walk& walk, std::uint32_t index, TimePoint now) const {
    if (index <= walk.front && walk.front - index <= kMaxOvertaken) return true;
    const bool in_order = index > walk.front && index - walk.front <= kMaxStep;
    if (in_order) {
        const Duration step = (now - walk.moved_at) / (index - walk.front);
        walk.pace += (std::clamp(step, kFastestPace, kSlowestPace) - walk.pace) / kPaceWeight;
        ++walk.streak;
    } else {
        walk.streak = 0;
    }
    walk.front = index;
    walk.moved_at = now;
    return in_order;
}

void PrefetchPlan::take_turn(const WalkId& id, Walk& walk) {
    if (walk.streak > 0 && !walk.turn) walk.turn = turns_.insert(turns_.end(), id);
}

void PrefetchPlan::reader_left(ReaderId reader) {
    const auto found = readers_.find(reader);
    if (found == readers_.end()) return;
    const std::vector<FileId> files = found->second;
    for (const FileId file : files) end_walk({reader, file});
}

bool PrefetchPlan::drop_silent(TimePoint now) {
    bool dropped = false;
    while (!walk_order_.empty()) {
        const WalkId oldest = walk_order_.front();
        if (now - files_.at(oldest.file).walks.at(oldest.reader).moved_at < limits_.patience) break;
        end_walk(oldest);
        dropped = true;
    }
    return dropped;
}

void PrefetchPlan::end_walk(const WalkId& id) {
    auto& walks = files_.at(id.file).walks;
    const auto walk = walks.find(id.reader);
    walk_order_.erase(walk->second.position);
    if (walk->second.turn) turns_.erase(*walk->second.turn);
    walks.erase(walk);
    const auto files = readers_.find(id.reader);
    std::erase(files->second, id.file);
    if (files->second.empty()) readers_.erase(files);
}

// --- what comes next ---------------------------------------------------------------------------

void PrefetchPlan::note_latency(Duration took) {
    if (!latency_known_) {
        latency_known_ = true;
        latency_mean_ = took;
        return;
    }
    const Duration off = took > latency_mean_ ? took - latency_mean_ : latency_mean_ - took;
    latency_deviation_ += (off - latency_deviation_) / kLatencyWeight;
    latency_mean_ += (took - latency_mean_) / kLatencyWeight;
}

std::size_t PrefetchPlan::depth_of(const Walk& walk) const {
    const auto needed = static_cast<std::size_t>((latency() + walk.pace - Duration(1)) / walk.pace);
    return std::min({limits_.depth, needed + 1, std::size_t{2} * walk.streak});
}

std::optional<PrefetchPlan::Wish> PrefetchPlan::first_lacking(
    const File& file, const Walk& walk, const std::function<bool(const ChunkId&)>& lacking) const {
    const std::size_t first = std::size_t{walk.front} + 1;
    const std::size_t end = std::min(first + depth_of(walk), file.chunks.size());
    for (std::size_t index = first; index < end; ++index) {
        if (lacking(file.chunks[index])) return Wish{file.chunks[index], file.chunk_bytes};
    }
    return std::nullopt;
}

std::optional<PrefetchPlan::Wish> PrefetchPlan::next(
    const std::function<bool(const ChunkId&)>& lacking) {
    while (!turns_.empty()) {
        const WalkId id = turns_.front();
        const File& file = files_.at(id.file);
        Walk& walk = files_.at(id.file).walks.at(id.reader);
        if (auto wish = first_lacking(file, walk, lacking)) {
            turns_.splice(turns_.end(), turns_, turns_.begin());
            return wish;
        }
        turns_.pop_front();  // until it moves on
        walk.turn.reset();
    }
    return std::nullopt;
}

bool PrefetchPlan::wanted(const ChunkId& id) const {
    const auto found = places_.find(id);
    if (found == places_.end()) return false;
    const Place place = found->second;
    const auto& walks = files_.at(place.file).walks;
    return std::any_of(walks.begin(), walks.end(), [&](const auto& entry) {
        const Walk& walk = entry.second;
        return walk.streak > 0 && place.index + kMaxOvertaken >= walk.front &&
               place.index <= walk.front + limits_.depth;
    });
}

}  // namespace kollator::chunk
