#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "loop/event_loop.h"
#include "store/object_store.h"

namespace kollator::testing_support {

/// An object store in memory that a test steers. By itself it answers everything by the next turn
/// of the loop; with `hold_gets` (or `hold_puts`, `hold_stats`) requests wait in gets() (puts(),
/// stats_asked()) until the test moves them. Loop thread only.
class FakeObjectStore final : public store::ObjectStore {
 public:
    class Request;
    using RequestPtr = std::shared_ptr<Request>;

    /// A request that the store was asked and that may have been cancelled.
    class Request {
     public:
        store::ObjectKey key{ChunkId()};
        bool cancelled = false;
        bool done = false;
        bool open() const { return !cancelled && !done; }

     private:
        friend class FakeObjectStore;
        store::GetOptions options;
        OnProgress on_progress;
        OnGet on_get;
        OnPut on_put;
        OnStat on_stat;
        OnDone on_removed;
        SharedBuffer body;  // of a put
        Bytes content;      // of a get, as it was (or was corrupted) when the body began
        std::shared_ptr<Buffer> buffer;
        std::size_t available = 0;
    };

    explicit FakeObjectStore(EventLoop& loop) : loop_(loop) {}

    // --- what the test sets and sees ---
    std::map<store::ObjectKey, Bytes> objects;
    std::map<store::ObjectKey, std::int64_t> modified_s;  ///< what list() tells; 0 for others
    bool hold_gets = false, hold_puts = false, hold_stats = false, hold_removes = false;
    /// Answered instead.
    std::optional<Error> get_error, put_error, stat_error, list_error, remove_error;
    std::function<void(Bytes&)> corrupt;  ///< changes each body on its way out
    std::size_t gets_begun = 0, puts_begun = 0, stats_begun = 0, lists_begun = 0;
    std::size_t stats_at_once = 0, most_stats_at_once = 0;

    store::StoreStats& totals() { return totals_; }  ///< what stats() tells
    std::vector<RequestPtr>& gets() { return gets_; }
    std::vector<RequestPtr>& puts() { return puts_; }
    std::vector<RequestPtr>& stats_asked() { return stats_; }
    std::vector<RequestPtr>& removes() { return removes_; }

    /// More of a held GET's body arrives, up to `bytes` of it in all.
    void progress(const RequestPtr& get, std::size_t bytes) {
        if (!get->open() || !begin_body(get)) return;
        const std::size_t until = std::min(bytes, get->content.size());
        std::copy(get->content.begin() + static_cast<std::ptrdiff_t>(get->available),
                  get->content.begin() + static_cast<std::ptrdiff_t>(until),
                  get->buffer->data() + get->available);
        get->available = until;
        if (get->on_progress) get->on_progress(get->buffer, until, get->content.size());
    }
    /// A retry: the body begins again, in a new buffer.
    void restart(const RequestPtr& get) {
        get->buffer = nullptr;
        get->available = 0;
    }
    void finish_get(const RequestPtr& get) {
        if (!get->open()) return;
        progress(get, SIZE_MAX);
        if (!get->open()) return;
        get->done = true;
        get->on_get(SharedBuffer(std::move(get->buffer)));
    }
    void fail_get(const RequestPtr& get, Error error) {
        if (!std::exchange(get->done, true) && !get->cancelled) get->on_get(std::move(error));
    }
    void finish_put(const RequestPtr& put) {
        if (!put->open()) return;
        put->done = true;
        if (put_error) return put->on_put(*put_error);
        const bool there = objects.contains(put->key);
        const SharedBuffer body = std::move(put->body);
        objects[put->key].assign(body->span().begin(), body->span().end());
        if (!there) ++totals_.uploaded_chunks;
        put->on_put(there ? store::PutOutcome::kAlreadyThere : store::PutOutcome::kStored);
    }
    void finish_stat(const RequestPtr& stat_request) {
        if (!stat_request->open()) return;
        stat_request->done = true;
        --stats_at_once;
        if (stat_error) return stat_request->on_stat(*stat_error);
        const auto found = objects.find(stat_request->key);
        if (found == objects.end())
            return stat_request->on_stat(make_error(ErrorCode::kNotFound, ""));
        stat_request->on_stat(std::uint64_t{found->second.size()});
    }
    void finish_remove(const RequestPtr& request) {
        if (!request->open()) return;
        request->done = true;
        if (remove_error) return request->on_removed(*remove_error);
        objects.erase(request->key);
        request->on_removed({});
    }

    // --- ObjectStore ---
    store::TransferHandle get(const store::ObjectKey& key, const store::GetOptions& options,
                              OnProgress on_progress, OnGet on_done) override {
        ++gets_begun;
        ++totals_.requests;
        const auto request = std::make_shared<Request>();
        request->key = key;
        request->options = options;
        request->on_progress = std::move(on_progress);
        request->on_get = std::move(on_done);
        gets_.push_back(request);
        if (!hold_gets) later(request, [this, request] { finish_get(request); });
        return handle(request);
    }
    store::TransferHandle put(const store::ObjectKey& key, SharedBuffer body,
                              const std::array<std::uint8_t, 32>&, OnPut on_done) override {
        ++puts_begun;
        ++totals_.requests;
        const auto request = std::make_shared<Request>();
        request->key = key;
        request->body = std::move(body);
        request->on_put = std::move(on_done);
        puts_.push_back(request);
        if (!hold_puts) later(request, [this, request] { finish_put(request); });
        return handle(request);
    }
    store::TransferHandle stat(const store::ObjectKey& key, OnStat on_done) override {
        ++stats_begun;
        ++totals_.requests;
        most_stats_at_once = std::max(most_stats_at_once, ++stats_at_once);
        const auto request = std::make_shared<Request>();
        request->key = key;
        request->on_stat = std::move(on_done);
        stats_.push_back(request);
        if (!hold_stats) later(request, [this, request] { finish_stat(request); });
        return handle(request);
    }
    store::TransferHandle list(store::ObjectKind kind, const std::array<std::uint8_t, 32>& after,
                               std::size_t limit, OnList on_done) override {
        ++lists_begun;
        const auto request = std::make_shared<Request>();
        later(request, [this, kind, after, limit, on_done = std::move(on_done)] {
            if (list_error) return on_done(*list_error);
            store::ListPage page;
            for (const auto& [key, content] : objects) {
                if (key.kind != kind || key.hash <= after) continue;
                page.more = page.entries.size() == limit;
                if (page.more) break;
                const auto when = modified_s.find(key);
                page.entries.push_back(
                    {key.hash, content.size(), when == modified_s.end() ? 0 : when->second});
            }
            on_done(std::move(page));
        });
        return handle(request);
    }
    store::TransferHandle remove(const store::ObjectKey& key, OnDone on_done) override {
        const auto request = std::make_shared<Request>();
        request->key = key;
        request->on_removed = std::move(on_done);
        removes_.push_back(request);
        if (!hold_removes) later(request, [this, request] { finish_remove(request); });
        return handle(request);
    }
    store::TransferHandle probe(OnDone on_done) override {
        const auto request = std::make_shared<Request>();
        later(request, [on_done = std::move(on_done)] { on_done({}); });
        return handle(request);
    }
    store::StoreStats stats() const override { return totals_; }
    std::string describe() const override { return "fake"; }

 private:
    class Handle final : public store::Transfer {
     public:
        Handle(FakeObjectStore& owner, RequestPtr request)
            : owner_(owner), request_(std::move(request)) {}
        ~Handle() override {
            if (!request_->open()) return;
            request_->cancelled = true;
            if (request_->on_stat) --owner_.stats_at_once;
            request_->on_progress = nullptr;
            request_->on_get = nullptr;
            request_->on_put = nullptr;
            request_->on_removed = nullptr;
            request_->buffer = nullptr;
            request_->body = nullptr;
        }

     private:
        FakeObjectStore& owner_;
        const RequestPtr request_;
    };

    store::TransferHandle handle(const RequestPtr& request) {
        return std::make_unique<Handle>(*this, request);
    }
    void later(const RequestPtr& request, std::function<void()> answer) {
        loop_.post([request, answer = std::move(answer)] {
            if (request->open()) answer();
        });
    }
    /// False where the request has ended with an error instead.
    bool begin_body(const RequestPtr& get) {
        if (get->buffer) return true;
        const auto found = objects.find(get->key);
        std::optional<Error> error = get_error;
        if (!error && found == objects.end()) error = make_error(ErrorCode::kNotFound, "");
        if (!error && found->second.size() > get->options.max_bytes) {
            error = make_error(ErrorCode::kLimit, "over max_bytes");
        }
        ByteBudget::Lease lease;
        if (!error && get->options.budget != nullptr) {
            lease = get->options.budget->try_acquire(found->second.size());
            if (!lease) error = make_error(ErrorCode::kLimit, "over the budget");
        }
        if (error) {
            fail_get(get, *error);
            return false;
        }
        get->content = found->second;
        if (corrupt) corrupt(get->content);
        get->buffer = std::make_shared<Buffer>(get->content.size(), std::move(lease));
        return true;
    }

    EventLoop& loop_;
    std::vector<RequestPtr> gets_, puts_, stats_, removes_;
    store::StoreStats totals_;
};

}  // namespace kollator::testing_support
