#pragma once

#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cache/chunk_file.h"
#include "cache/chunk_index.h"
#include "cache/disk_cache.h"
#include "cache/strand.h"

namespace kollator::cache {

/// A chunk that is being read, or whose file is kept open for the next reader. Shared by its
/// readers and the table of open chunks.
struct OpenChunk {
    ChunkId id;
    std::uint32_t size_bytes = 0;
    std::uint64_t charged_bytes = 0;
    std::shared_ptr<const ChunkFile> file;  // null: not opened yet, or closed for room
    unsigned readers = 0;                   // CachedChunks and their reads under way
    bool detached = false;  // gone from the index; its bytes stay reserved while it has readers
    bool listed = false;    // has a place in the list of open files
    std::list<std::shared_ptr<OpenChunk>>::iterator position;
};

/// The DiskCache over a folder. Its parts: ChunkIndex decides, ChunkFile knows the format, the
/// strand changes the folder, reads go to the pool directly.
///
/// A chunk's bytes count from the reservation before its write until its file is unlinked and no
/// reader holds it open; so the folder never takes more than max_bytes (file sizes, without the
/// snapshot), but for files that the file system refuses to remove: those stay counted.
class FolderCache final : public DiskCache {
 public:
    FolderCache(EventLoop& loop, JobPool& jobs, FileSystem& fs, const Clock& clock,
                CacheOptions options);
    ~FolderCache() override;

    /// Waits for options.start_wait at most; once, before anything else.
    void load();

    std::optional<std::uint32_t> size_of(const ChunkId& id) const override;
    std::shared_ptr<CachedChunk> find(const ChunkId& id) override;
    std::shared_ptr<CachedChunk> find_again(const ChunkId& id) override;
    void expect(const ChunkId& id) override;
    void learn_file(const std::vector<ChunkId>& chunks) override { index_.learn_file(chunks); }
    void reader_at(ReaderId reader, const ChunkId& id) override {
        index_.reader_at(reader, id, clock_.now());
    }
    void reader_left(ReaderId reader) override { index_.reader_left(reader); }
    void insert(const ChunkId& id, SharedBuffer bytes, OnDone on_done) override;
    void remove(const ChunkId& id) override;
    void clear(std::function<void(std::size_t dropped)> on_done) override;
    std::vector<CacheEntry> list(const ChunkId& after, std::size_t limit) const override;
    CacheStats stats() const override;
    void observe(Observer observer) override { observer_ = std::move(observer); }
    CacheUses uses() const override;
    void verify(const ChunkId& id, OnDone on_done) override;
    void when_loaded(std::function<void()> on_ready) override;
    void close(OnDone on_done) override;

 private:
    class Chunk;

    struct Insert {
        SharedBuffer bytes;
        std::uint64_t charged_bytes = 0;
        bool made_room = false;  // the disk was full once, and more was evicted
        bool unwanted = false;   // removed while it was being written
        std::vector<OnDone> waiting;
    };
    using Inserts = std::map<ChunkId, Insert>;
    /// What a step that removes files could not remove.
    struct Removed {
        std::uint64_t stuck_bytes = 0;
        std::string error;
    };
    struct Written {
        Status status;
        Removed removed;
    };

    /// What a folder holds, in order: what the job that indexes it gives.
    struct LoadedFolder {
        Status status;
        std::vector<IndexItem> items;  // least recently used first
        std::size_t put_aside = 0;
        bool trusted = true;
    };
    struct Load;

    static LoadedFolder read_folder(FileSystem& fs, const CacheOptions& options,
                                    std::int64_t now_ns);
    void start_load(Duration wait);
    void on_loaded(LoadedFolder loaded);
    void take_in_some(std::size_t count);
    void end_load();
    void bypass(const std::string& reason);
    std::optional<Error> refusal_of(std::size_t size_bytes) const;
    bool aged(const IndexItem& item) const;

    void start_write(const ChunkId& id, std::vector<IndexItem> evicted);
    void on_written(const ChunkId& id, Written written);
    bool make_more_room(const ChunkId& id, Insert& insert);
    void note_write(const Status& status);

    void drop(const ChunkId& id);
    void forget_files(const std::vector<IndexItem>& items);
    void unlink(std::vector<IndexItem> items, std::function<void()> on_done);
    static Removed unlink_files(FileSystem& fs, const std::filesystem::path& folder,
                                const std::vector<IndexItem>& items);
    void note_removed(const Removed& removed);

    std::shared_ptr<CachedChunk> open_chunk(const IndexItem& item);
    void release(const std::shared_ptr<OpenChunk>& open);
    void use_file(const std::shared_ptr<OpenChunk>& open);
    void close_file(OpenChunk& open);
    Error read_failed(const std::shared_ptr<OpenChunk>& open, const Error& error);

    void upkeep();
    void write_order(OnDone on_done);
    void answer(OnDone on_done, Status status);
    std::int64_t wall_ns() const;

    // injected
    EventLoop& loop_;
    JobPool& jobs_;
    FileSystem& fs_;
    const Clock& clock_;
    const CacheOptions options_;

    Observer observer_;

    // owned
    ChunkIndex index_;
    Strand strand_;
    Timer upkeep_timer_;

    // state
    std::unique_ptr<Load> load_;  // null: indexed, or bypassed
    std::vector<std::function<void()>> waiting_for_load_;
    Inserts inserts_;
    std::uint64_t inserting_bytes_ = 0;
    std::uint64_t temporary_number_ = 0;
    std::map<ChunkId, std::shared_ptr<OpenChunk>> open_;  // those of the index
    std::list<std::shared_ptr<OpenChunk>> open_files_;    // most recently used first
    bool order_changed_ = false;
    bool closed_ = false;
    bool bypassed_ = false;
    std::string bypass_reason_;
    bool disk_full_ = false;       // by the last write
    unsigned write_failures_ = 0;  // one after the other
    TimePoint paused_until_{};
    CacheStats counters_;
    const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace kollator::cache
