#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "base/time.h"

namespace kollator::chunk {

/// Who goes through which file in order, and which chunks they will ask for next: as far ahead as
/// the object store takes to deliver at the reader's pace. Pure: no I/O, no clock; one thread at a
/// time.
///
/// A reader is in order from its second request on that goes a little forward, or at once where it
/// begins with a file's first chunk; it looks ahead two chunks for each such request until its pace
/// asks for no more. Requests may be pipelined and arrive a little out of order; a jump begins
/// anew.
class PrefetchPlan {
 public:
    using ReaderId = std::uint64_t;

    struct Limits {
        std::size_t depth = 8;            ///< chunks ahead of a reader, at most; 0: none
        std::size_t max_names = 200'000;  ///< of chunks, in all files; about 120 bytes each
        std::size_t max_walks = 16'384;   ///< readers, each in each of its files
        /// A reader that asks for nothing for so long wants nothing any more.
        Duration patience = std::chrono::seconds(30);
    };
    struct Wish {
        ChunkId id;
        std::uint32_t max_bytes = 0;
    };

    explicit PrefetchPlan(Limits limits) : limits_(limits) {}

    /// The chunks of a file, in order, and the size of each but the last. Known files stay as they
    /// are; those that nobody reads are forgotten when names run out.
    void learn(const std::vector<ChunkId>& chunks, std::uint32_t chunk_bytes);

    /// A reader asks for a chunk. True where it left the way it was on: what was fetched for it may
    /// be unwanted now.
    bool reader_at(ReaderId reader, const ChunkId& id, TimePoint now);
    void reader_left(ReaderId reader);
    /// Forgets readers that have been silent for too long; true where there were any.
    bool drop_silent(TimePoint now);

    /// How long the object store took from the request to the last byte.
    void note_latency(Duration took);

    /// What to fetch now, readers taking turns; nothing where nobody looks ahead to anything that
    /// is `lacking` (neither cached nor on its way).
    std::optional<Wish> next(const std::function<bool(const ChunkId&)>& lacking);

    /// Whether a reader that is in order will come to it, or just passed it.
    bool wanted(const ChunkId& id) const;

    /// In all files; one that several share counts for each.
    std::size_t names() const { return listed_names_; }
    std::size_t walks() const { return walk_order_.size(); }

 private:
    using FileId = std::uint64_t;
    struct WalkId {
        ReaderId reader = 0;
        FileId file = 0;
    };
    struct Walk {
        std::uint32_t front = 0;   // the furthest that was asked for
        std::uint32_t streak = 0;  // requests in order, one after the other
        Duration pace{};           // for a chunk
        TimePoint moved_at{};
        std::list<WalkId>::iterator position;             // in walk_order_
        std::optional<std::list<WalkId>::iterator> turn;  // in turns_
    };
    struct File {
        std::vector<ChunkId> chunks;
        std::uint32_t chunk_bytes = 0;
        std::map<ReaderId, Walk> walks;
        std::list<FileId>::iterator position;
    };
    struct Place {
        FileId file = 0;
        std::uint32_t index = 0;
    };

    bool is_known(const std::vector<ChunkId>& chunks);
    bool make_room(std::size_t names);
    void forget_file(FileId id);
    void end_walk(const WalkId& id);
    bool advance(Walk& walk, std::uint32_t index, TimePoint now) const;
    void take_turn(const WalkId& id, Walk& walk);
    std::size_t depth_of(const Walk& walk) const;
    std::optional<Wish> first_lacking(const File& file, const Walk& walk,
                                      const std::function<bool(const ChunkId&)>& lacking) const;
    Duration latency() const { return latency_mean_ + 2 * latency_deviation_; }

    const Limits limits_;
    std::unordered_map<FileId, File> files_;
    std::list<FileId> file_order_;  // least recently used first
    std::unordered_map<ChunkId, Place, KeyedHash> places_;
    std::size_t listed_names_ = 0;  // by all files: more than places_ where they share chunks
    std::unordered_map<ReaderId, std::vector<FileId>> readers_;
    std::list<WalkId> walk_order_;  // least recently moved first
    std::list<WalkId> turns_;       // those that may lack something, whose turn it is first
    FileId next_file_ = 1;
    Duration latency_mean_ = std::chrono::milliseconds(100);
    Duration latency_deviation_{};
    bool latency_known_ = false;
};

}  // namespace kollator::chunk
