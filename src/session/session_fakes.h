#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "chunk/chunk_service.h"
#include "crypto/hash.h"
#include "loop/event_loop.h"
#include "session/transport.h"

// What stands for the chunk service and the transport in tests and in the fuzzer.
namespace kollator::session {

/// Keeps blobs in memory. Answers through the loop, or when told to.
class FakeChunkService final : public chunk::ChunkService {
 public:
    explicit FakeChunkService(EventLoop& loop) : loop_(loop) {}

    template <typename Id>
    static Id name_of(ByteSpan bytes) {
        return Id(crypto::sha256(bytes));
    }
    ChunkId put(ByteSpan bytes) {
        const auto id = name_of<ChunkId>(bytes);
        blobs_[id.bytes()] = shared(bytes);
        return id;
    }
    void put_as(const std::array<std::uint8_t, 32>& name, ByteSpan bytes) {
        blobs_[name] = shared(bytes);
    }
    bool has(const ChunkId& id) const { return blobs_.contains(id.bytes()); }

    // Steering.
    std::optional<Error> fail_all;     ///< what every call ends with
    std::optional<Error> fail_middle;  ///< what a reader gives after its first piece
    bool hold_reads = false;           ///< readers give nothing until release_reads()
    bool hold_answers = false;         ///< stores, stats and lists wait for release_answers()
    std::size_t allocated_bytes_limit = SIZE_MAX;
    std::uint32_t max_bytes = 5 * 1024 * 1024;

    // Counting.
    std::size_t pieces_read = 0;
    std::size_t readers_open = 0;
    std::size_t stat_names = 0;
    std::map<std::uint64_t, std::vector<ChunkId>> readers;  ///< who is here, and asked for what

    void release_reads() {
        hold_reads = false;
        for (auto& on_ready : std::exchange(waiting_reads_, {})) loop_.post(std::move(on_ready));
    }
    void release_answers() {
        hold_answers = false;
        for (auto& answer : std::exchange(held_answers_, {})) loop_.post(std::move(answer));
    }
    std::size_t held_answers() const { return held_answers_.size(); }

    std::unique_ptr<chunk::Reader> open(const ChunkId& id, std::uint32_t offset,
                                        std::uint32_t length, OnReady on_ready) override {
        return open_blob(id.bytes(), offset, length, std::move(on_ready));
    }
    std::unique_ptr<chunk::Reader> open(const MetadataId& id, std::uint32_t offset,
                                        std::uint32_t length, OnReady on_ready) override {
        return open_blob(id.bytes(), offset, length, std::move(on_ready));
    }
    void reader_at(std::uint64_t reader, const ChunkId& id) override {
        readers[reader].push_back(id);
    }
    void reader_left(std::uint64_t reader) override { readers.erase(reader); }
    Result<std::shared_ptr<Buffer>> allocate(std::uint32_t size_bytes) override {
        if (size_bytes > allocated_bytes_limit) return make_error(ErrorCode::kLimit, "used up");
        return std::make_shared<Buffer>(size_bytes);
    }
    void store(const ChunkId& id, SharedBuffer bytes, OnStored on_done) override {
        store_blob(id.bytes(), std::move(bytes), std::move(on_done));
    }
    void store(const MetadataId& id, SharedBuffer bytes, OnStored on_done) override {
        store_blob(id.bytes(), std::move(bytes), std::move(on_done));
    }
    void stat(std::vector<ChunkId> ids, OnStat on_done) override {
        stat_names += ids.size();
        auto stats = stat_known(ids);
        later([on_done = std::move(on_done), stats = std::move(stats)] { on_done(stats); });
    }
    std::vector<chunk::ChunkStat> stat_known(const std::vector<ChunkId>& ids) override {
        std::vector<chunk::ChunkStat> stats;
        for (const ChunkId& id : ids) {
            const auto found = blobs_.find(id.bytes());
            stats.push_back(
                found == blobs_.end()
                    ? chunk::ChunkStat{0, chunk::Residency::kNotStored}
                    : chunk::ChunkStat{size_of(found->second), chunk::Residency::kCachedHere});
        }
        return stats;
    }
    chunk::ChunkPage list_cached(const ChunkId& after, std::size_t limit) override {
        chunk::ChunkPage page;
        for (auto blob = blobs_.upper_bound(after.bytes()); blob != blobs_.end(); ++blob) {
            if (page.entries.size() == limit) {
                page.more = true;
                break;
            }
            page.entries.push_back({ChunkId(blob->first), size_of(blob->second)});
        }
        return page;
    }
    void list_stored(const ChunkId& after, std::size_t limit, OnPage on_done) override {
        Result<chunk::ChunkPage> page =
            fail_all ? Result<chunk::ChunkPage>(*fail_all) : list_cached(after, limit);
        later([on_done = std::move(on_done), page = std::move(page)] { on_done(page); });
    }
    std::uint32_t max_chunk_bytes() const override { return max_bytes; }
    std::uint32_t max_metadata_bytes() const override { return max_bytes; }

 private:
    class FakeReader final : public chunk::Reader {
     public:
        FakeReader(FakeChunkService& service, SharedBuffer blob, std::uint32_t offset,
                   std::uint32_t length, OnReady on_ready)
            : service_(service), blob_(std::move(blob)), on_ready_(std::move(on_ready)) {
            ++service_.readers_open;
            position_ = offset;
            const std::uint32_t rest = size_of(blob_) - std::min(offset, size_of(blob_));
            end_ = offset + (length == 0 ? rest : std::min(length, rest));
        }
        ~FakeReader() override { --service_.readers_open; }
        std::uint32_t total_bytes() const override { return size_of(blob_); }
        std::uint32_t position() const override { return position_; }
        bool finished() const override {
            return blob_ && position_ == end_ && position_ <= size_of(blob_) && !service_.fail_all;
        }
        Result<std::optional<BufferSlice>> next(std::uint32_t max_bytes) override {
            if (service_.hold_reads) {
                service_.waiting_reads_.push_back(on_ready_);
                return std::optional<BufferSlice>();
            }
            if (service_.fail_all) return *service_.fail_all;
            if (service_.fail_middle && given_) return *service_.fail_middle;
            if (!blob_) return make_error(ErrorCode::kNotFound, "no such blob");
            if (position_ > size_of(blob_)) return make_error(ErrorCode::kInvalid, "past the end");
            const std::uint32_t size = std::min(max_bytes, end_ - position_);
            BufferSlice slice{blob_, blob_->span().subspan(position_, size)};
            position_ += size;
            given_ = true;
            ++service_.pieces_read;
            return std::optional<BufferSlice>(std::move(slice));
        }

     private:
        FakeChunkService& service_;
        SharedBuffer blob_;  // null: not stored
        OnReady on_ready_;
        std::uint32_t position_ = 0;
        std::uint32_t end_ = 0;
        bool given_ = false;
    };

    static SharedBuffer shared(ByteSpan bytes) {
        auto buffer = std::make_shared<Buffer>(bytes.size());
        std::copy(bytes.begin(), bytes.end(), buffer->data());
        return buffer;
    }
    static std::uint32_t size_of(const SharedBuffer& blob) {
        return blob ? static_cast<std::uint32_t>(blob->size()) : 0;
    }
    std::unique_ptr<chunk::Reader> open_blob(const std::array<std::uint8_t, 32>& name,
                                             std::uint32_t offset, std::uint32_t length,
                                             OnReady on_ready) {
        const auto found = blobs_.find(name);
        SharedBuffer blob = found == blobs_.end() ? nullptr : found->second;
        return std::make_unique<FakeReader>(*this, std::move(blob), offset, length,
                                            std::move(on_ready));
    }
    void store_blob(const std::array<std::uint8_t, 32>& name, SharedBuffer bytes,
                    OnStored on_done) {
        Result<chunk::StoreOutcome> outcome = chunk::StoreOutcome{};
        if (fail_all) {
            outcome = *fail_all;
        } else if (crypto::sha256(bytes->span()) != name) {
            outcome = make_error(ErrorCode::kCorrupt, "another SHA-256");
        } else {
            outcome = chunk::StoreOutcome{blobs_.contains(name), chunk::Durability::kObjectStore};
            blobs_[name] = std::move(bytes);
        }
        later([on_done = std::move(on_done), outcome] { on_done(outcome); });
    }
    void later(EventLoop::Task task) {
        if (hold_answers) {
            held_answers_.push_back(std::move(task));
        } else {
            loop_.post(std::move(task));
        }
    }

    EventLoop& loop_;
    std::map<std::array<std::uint8_t, 32>, SharedBuffer> blobs_;
    std::vector<OnReady> waiting_reads_;
    std::vector<EventLoop::Task> held_answers_;
};

/// What the owner of a FakeTransport steers and sees; outlives it.
struct FakeLink {
    std::vector<Bytes> sent;  ///< whole messages, in order
    std::size_t room_bytes = SIZE_MAX;
    std::size_t max_message_bytes = 262'144;
    bool ordered = true;
    std::size_t given = 0;  ///< messages whose body was given away, not copied
    bool refused = false;   ///< a send found no room since this was last cleared
};

class FakeTransport final : public SessionTransport {
 public:
    explicit FakeTransport(FakeLink& link) : link_(link) {}
    Status send(ByteSpan head, ByteSpan body) override {
        const std::size_t size = head.size() + body.size();
        if (size > link_.max_message_bytes) return make_error(ErrorCode::kInvalid, "too large");
        if (size > link_.room_bytes) {
            link_.refused = true;
            return make_error(ErrorCode::kLimit, "no room");
        }
        if (link_.room_bytes != SIZE_MAX) link_.room_bytes -= size;
        Bytes& message = link_.sent.emplace_back(head.begin(), head.end());
        message.insert(message.end(), body.begin(), body.end());
        return {};
    }
    Status give(ByteSpan head, const BufferSlice& body) override {
        const Status taken = send(head, body.bytes);
        if (taken.ok()) ++link_.given;
        return taken;
    }
    std::size_t writable_bytes() const override { return link_.room_bytes; }
    std::size_t max_message_bytes() const override { return link_.max_message_bytes; }
    bool ordered() const override { return link_.ordered; }
    void close() override {}

 private:
    FakeLink& link_;
};

}  // namespace kollator::session
