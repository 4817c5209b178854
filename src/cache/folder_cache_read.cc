#include "base/check.h"
#include "base/log.h"
#include "cache/folder_cache.h"

// The reading half of FolderCache: open chunks, their readers, and the bound on open files.

namespace kollator::cache {
namespace {

const log::Logger kLog("cache");

Error gone() {
    return make_error(ErrorCode::kCancelled, "the cache is gone");
}

}  // namespace

class FolderCache::Chunk final : public CachedChunk {
 public:
    Chunk(FolderCache& cache, std::shared_ptr<OpenChunk> open)
        : cache_(cache), cache_alive_(cache.alive_), open_(std::move(open)) {}
    ~Chunk() override {
        if (!cache_alive_.expired()) cache_.release(open_);
    }

    std::uint32_t size_bytes() const override { return open_->size_bytes; }

    std::optional<Result<BufferSlice>> try_read(std::uint32_t offset,
                                                std::uint32_t length) override {
        if (cache_alive_.expired()) return gone();
        KOLLATOR_CHECK(cache_.loop_.in_loop_thread());
        if (!open_->file) return std::nullopt;
        cache_.use_file(open_);
        auto slice = open_->file->read(offset, length, ReadMode::kNoWait);
        if (!slice) return cache_.read_failed(open_, slice.error());
        if (!*slice) return std::nullopt;
        return Result<BufferSlice>(std::move(**slice));
    }

    void read(std::uint32_t offset, std::uint32_t length, OnRead on_done) override;

 private:
    struct Answer {
        std::shared_ptr<const ChunkFile> file;
        Result<BufferSlice> slice;
    };
    static Answer read_in_job(FileSystem& fs, const std::filesystem::path& path,
                              const OpenChunk& open, std::shared_ptr<const ChunkFile> file,
                              std::uint32_t offset, std::uint32_t length);

    FolderCache& cache_;
    const std::weak_ptr<int> cache_alive_;
    const std::shared_ptr<OpenChunk> open_;
    const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

FolderCache::Chunk::Answer FolderCache::Chunk::read_in_job(
    FileSystem& fs, const std::filesystem::path& path, const OpenChunk& open,
    std::shared_ptr<const ChunkFile> file, std::uint32_t offset, std::uint32_t length) {
    if (!file) {
        auto opened = ChunkFile::open(fs, path, open.id, open.size_bytes);
        if (!opened) return {nullptr, opened.error()};
        file = std::move(*opened);
    }
    auto slice = file->read(offset, length, ReadMode::kMayBlock);
    if (!slice) return {file, slice.error()};
    return {std::move(file), std::move(**slice)};
}

void FolderCache::Chunk::read(std::uint32_t offset, std::uint32_t length, OnRead on_done) {
    if (cache_alive_.expired()) return;
    KOLLATOR_CHECK(cache_.loop_.in_loop_thread());
    KOLLATOR_CHECK(length > 0 && offset < open_->size_bytes &&
                   length <= open_->size_bytes - offset);
    ++open_->readers;  // the job holds the file too
    cache_.jobs_.run(
        cache_.loop_,
        [&fs = cache_.fs_, path = cache_.options_.path / chunk_path(open_->id),
         // id and size never change; the rest of OpenChunk is the loop's.
         open = open_, file = open_->file, offset,
         length] { return read_in_job(fs, path, *open, file, offset, length); },
        [&cache = cache_, cache_alive = cache_alive_, alive = std::weak_ptr(alive_), open = open_,
         on_done = std::move(on_done)](Answer answer) {
            if (cache_alive.expired()) return;
            if (!open->file) open->file = std::move(answer.file);
            if (open->file) cache.use_file(open);
            if (!answer.slice) answer.slice = cache.read_failed(open, answer.slice.error());
            cache.release(open);
            if (!alive.expired()) on_done(std::move(answer.slice));
        });
}

std::shared_ptr<CachedChunk> FolderCache::open_chunk(const IndexItem& item) {
    auto& open = open_[item.id];
    if (!open) {
        open = std::make_shared<OpenChunk>();
        open->id = item.id;
        open->size_bytes = item.size_bytes;
        open->charged_bytes = item.charged_bytes;
    }
    if (open->readers++ == 0) index_.pin(item.id);
    return std::make_shared<Chunk>(*this, open);
}

void FolderCache::release(const std::shared_ptr<OpenChunk>& open) {
    KOLLATOR_CHECK(open->readers > 0);
    if (--open->readers > 0) return;
    if (open->detached) {
        open->file = nullptr;
        index_.release(open->charged_bytes);
        return;
    }
    index_.unpin(open->id);
    if (!open->file) open_.erase(open->id);
}

/// The most recently used open file; the least recently used ones are closed over the bound. Those
/// of detached chunks are not listed: they cannot be opened again, and go with their readers.
void FolderCache::use_file(const std::shared_ptr<OpenChunk>& open) {
    if (open->detached) return;
    if (open->listed) {
        open_files_.splice(open_files_.begin(), open_files_, open->position);
    } else {
        open->position = open_files_.insert(open_files_.begin(), open);
        open->listed = true;
    }
    while (open_files_.size() > std::max<std::size_t>(1, options_.max_open_files)) {
        const auto oldest = open_files_.back();
        close_file(*oldest);
    }
}

/// Closes its file and forgets it where nobody reads it.
void FolderCache::close_file(OpenChunk& open) {
    const ChunkId id = open.id;
    open.file = nullptr;
    if (open.listed) {
        open.listed = false;
        const auto keep = *open.position;
        open_files_.erase(open.position);
        if (keep->readers == 0) open_.erase(id);
    } else if (open.readers == 0) {
        open_.erase(id);
    }
}

/// What cannot be read is as good as wrong: the chunk goes, and is fetched anew.
Error FolderCache::read_failed(const std::shared_ptr<OpenChunk>& open, const Error& error) {
    if (error.code == ErrorCode::kLimit) return error;  // out of descriptors; the chunk is good
    if (!open->detached) {
        ++counters_.corruptions;
        kLog.warn("event=corrupt chunk={} action=dropped error=\"{}\"", open->id.hex(),
                  error.detail);
        drop(open->id);
    }
    return make_error(ErrorCode::kCorrupt, "cached chunk " + open->id.hex() + ": " + error.detail);
}

}  // namespace kollator::cache
