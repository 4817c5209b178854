#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/metrics.h"
#include "base/random.h"
#include "cache/disk_cache.h"
#include "chunk/store_chunk_service.h"
#include "crypto/hash.h"
#include "loop/job_pool.h"
#include "loop/system_clock.h"
#include "store/s3/s3_store.h"
#include "tests/support/rgw.h"
#include "tests/support/temp_folder.h"

namespace kollator::testing {

inline SharedBuffer content_of(std::uint64_t seed, std::size_t size_bytes) {
    SeededRandom random(seed);
    auto buffer = std::make_shared<Buffer>(size_bytes);
    random.fill(buffer->span());
    return buffer;
}

inline store::S3Options s3_options(const RgwServer& server) {
    store::S3Options options;
    options.endpoint = server.endpoint();
    options.region = server.region();
    options.bucket = server.bucket();
    options.access_key = server.access_key();
    options.secret_key = server.secret_key();
    return options;
}

/// A worker but for its network: the chunk service over a real disk cache and the S3 store. Its
/// loop runs only within run_until().
class ChunkWorker {
 public:
    /// Reads a whole chunk as a session does, and hashes what it got. `on_end` may destroy it.
    class Read {
     public:
        Read(ChunkWorker& worker, const ChunkId& id, std::function<void()> on_end = nullptr)
            : id_(id), began_(worker.loop_.now()), on_end_(std::move(on_end)) {
            loop_ = &worker.loop_;
            reader_ = worker.service().open(id, 0, 0, [this] { take(); });
            loop_->post([this, alive = std::weak_ptr(alive_)] {
                if (!alive.expired()) take();
            });
        }
        bool ended() const { return finished_ || error_.has_value(); }
        bool is_right() const { return finished_ && ChunkId(crypto::sha256(bytes_)) == id_; }
        bool is_wrong() const { return finished_ && !is_right(); }
        const std::optional<Error>& error() const { return error_; }
        Duration took() const { return took_; }

     private:
        static constexpr std::uint32_t kSliceBytes = 60'000;

        void take() {
            if (ended()) return;
            while (!ended() && take_slice()) {
            }
            if (ended() && on_end_) loop_->post(std::exchange(on_end_, nullptr));
        }
        bool take_slice() {
            auto slice = reader_->next(kSliceBytes);
            took_ = loop_->now() - began_;
            if (!slice) {
                error_ = slice.error();
                return false;
            }
            if (!*slice) return false;
            bytes_.insert(bytes_.end(), (*slice)->bytes.begin(), (*slice)->bytes.end());
            finished_ = reader_->finished();
            return true;
        }

        const ChunkId id_;
        EventLoop* loop_ = nullptr;
        const TimePoint began_;
        std::function<void()> on_end_;
        Duration took_{};
        Bytes bytes_;
        bool finished_ = false;
        std::optional<Error> error_;
        std::unique_ptr<chunk::Reader> reader_;
        const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
    };

    ChunkWorker(store::S3Options s3, std::uint64_t cache_bytes) {
        s3.metrics = &metrics_;
        auto made = store::make_s3_store(loop_, system_clock(), random_, std::move(s3));
        KOLLATOR_CHECK(made.ok());
        store_ = std::move(*made);
        cache::CacheOptions cache;
        cache.path = folder_.path() / "cache";
        cache.max_bytes = cache_bytes;
        cache_ = cache::open_disk_cache(loop_, jobs_, posix_file_system(), system_clock(), cache);
        cache.path = folder_.path() / "metadata";
        metadata_cache_ =
            cache::open_disk_cache(loop_, jobs_, posix_file_system(), system_clock(), cache);
        service_ = chunk::make_chunk_service(loop_, jobs_, system_clock(), *cache_,
                                             *metadata_cache_, *store_, {}, metrics_);
    }

    EventLoop& loop() { return loop_; }
    store::ObjectStore& store() { return *store_; }
    cache::DiskCache& cache() { return *cache_; }
    chunk::StoreChunkService& service() { return *service_; }

    bool run_until(const std::function<bool()>& done, Duration timeout) {
        return loop_.run_until(done, timeout);
    }

 private:
    testing_support::TempFolder folder_;
    MetricsRegistry metrics_;
    SeededRandom random_{1};
    EventLoop loop_;
    JobPool jobs_{2};
    std::unique_ptr<store::ObjectStore> store_;
    std::unique_ptr<cache::DiskCache> cache_;
    std::unique_ptr<cache::DiskCache> metadata_cache_;
    std::unique_ptr<chunk::StoreChunkService> service_;
};

}  // namespace kollator::testing
