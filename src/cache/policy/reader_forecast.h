#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/time.h"
#include "cache/policy/eviction_policy.h"

namespace kollator::cache {

/// Added to the time over which rates are counted: what happened twice in the first second does not
/// happen twice every second.
inline constexpr std::chrono::duration<double> kShortHistory = std::chrono::minutes(10);

/// When chunks will be asked for next, by what is known of files and of those who go through them:
/// a reader that is five chunks behind a chunk, at two chunks a second, comes to it in 2.5 s.
class ReaderForecast {
 public:
    struct Limits {
        std::size_t max_names = 500'000;  ///< of chunks, in all files; about 100 bytes each
        std::size_t max_walks = 65'536;   ///< readers, each in each of its files
        /// A reader that asks for nothing for so long has gone.
        Duration patience = std::chrono::minutes(2);
    };

    explicit ReaderForecast(Limits limits);

    /// False where it is known already, or larger than all that is remembered. Files without
    /// readers are forgotten, the one that was not used for longest first.
    bool learn(FileId file, std::span<const PolicyKey> chunks);

    /// A reader asked for a chunk. Gives the chunks whose forecast this changes by more than a
    /// reader's uneven pace does; empty where nothing is known of the chunk's file.
    std::span<const PolicyKey> move(ReaderId reader, PolicyKey chunk, TimePoint now);
    /// A reader has gone: ends its way through one of its files, and gives the chunks whose
    /// forecast this changes. Empty when it has no more.
    std::optional<std::span<const PolicyKey>> leave(ReaderId reader);
    /// As leave(), for one who asked for nothing for so long that it must have gone.
    std::optional<std::span<const PolicyKey>> drop_silent(TimePoint now);

    /// When the reader that is nearest comes to it. Empty: nobody is on the way.
    std::optional<TimePoint> next_use(PolicyKey chunk) const;
    /// How long it takes until a reader that is not there yet comes to it, by how often the file
    /// was begun of late. Empty: nothing is known of the file, or nobody ever began it.
    std::optional<Duration> usual_wait(PolicyKey chunk, TimePoint now) const;

    std::size_t walks() const { return walks_.size(); }
    /// Chunks with a forecast; those that several files share count once.
    std::size_t names() const { return places_.size(); }

 private:
    /// A reader in one of its files.
    using WalkId = std::pair<ReaderId, FileId>;
    struct Walk {
        std::uint32_t index = 0;
        TimePoint moved_at{};
        Duration pace{};  // for a chunk
        std::list<WalkId>::iterator position;
    };
    using Walks = std::map<WalkId, Walk>;
    struct File {
        std::vector<PolicyKey> chunks;
        std::multimap<std::uint32_t, Walks::iterator> walks;  // by where they are
        std::list<FileId>::iterator position;
        double begun = 0;  // how often, as of begun_at; fades with kRateMemory
        TimePoint begun_at{};
    };
    struct Place {
        FileId file = 0;
        std::uint32_t index = 0;
    };

    /// The chunks after `index` to which no other reader is nearer.
    static std::span<const PolicyKey> ahead_of(const File& file, std::uint32_t index);
    void place(Walks::iterator walk);
    void displace(Walks::iterator walk);
    std::span<const PolicyKey> begin_walk(const WalkId& id, File& file, std::uint32_t index,
                                          TimePoint now);
    std::span<const PolicyKey> end_walk(Walks::iterator walk);
    bool make_room(std::size_t names);

    const Limits limits_;
    std::unordered_map<FileId, File> files_;
    std::list<FileId> file_order_;  // least recently used first
    std::unordered_map<PolicyKey, Place> places_;
    std::size_t listed_names_ = 0;  // by all files: more than places_ where they share chunks
    Walks walks_;
    std::list<WalkId> walk_order_;  // least recently moved first
    Duration mean_pace_;
    std::optional<TimePoint> first_begun_at_;
};

}  // namespace kollator::cache
