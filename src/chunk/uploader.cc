#include "chunk/uploader.h"

#include <utility>

#include "base/check.h"
#include "base/log.h"

namespace kollator::chunk {
namespace {

const log::Logger kLog("chunk");

}  // namespace

Uploader::Uploader(EventLoop& loop, JobPool& jobs, store::ObjectStore& store, Fetcher& fetcher,
                   KnownStored& stored, KnownMissing& missing, const HiddenNames& hidden,
                   Tally& tally, const ChunkServiceOptions& options, Gate gate)
    : loop_(loop),
      jobs_(jobs),
      store_(store),
      fetcher_(fetcher),
      stored_(stored),
      missing_(missing),
      hidden_(hidden),
      tally_(tally),
      options_(options),
      gate_(std::move(gate)) {}

void Uploader::store(const store::ObjectKey& key, const std::shared_ptr<BlobKind>& kind,
                     SharedBuffer bytes, OnStored on_done) {
    KOLLATOR_CHECK(loop_.in_loop_thread() && bytes != nullptr);
    if (bytes->size() == 0 || bytes->size() > kind->max_bytes()) {
        return answer(std::move(on_done),
                      make_error(ErrorCode::kInvalid,
                                 std::to_string(bytes->size()) + " bytes; 1 to " +
                                     std::to_string(kind->max_bytes()) + " are allowed"));
    }
    if (hidden_.denied(key)) {
        tally_.denied.add();
        return answer(std::move(on_done), refused_by_denylist());
    }
    if (under_way_ >= options_.max_uploads) {
        return answer(std::move(on_done),
                      make_error(ErrorCode::kLimit, "too many uploads are under way"));
    }
    ++under_way_;
    // Verified even where the name is known: whoever sent other bytes under it has to learn that.
    jobs_.run(
        loop_, [kind, key, bytes] { return kind->verify(key, bytes->span()); },
        [this, alive = std::weak_ptr(alive_), key, kind, bytes,
         on_done = std::move(on_done)](const Result<crypto::Sha256Digest>& digest) {
            if (!alive.expired()) on_verified(key, kind, bytes, digest, on_done);
        });
}

void Uploader::on_verified(const store::ObjectKey& key, const std::shared_ptr<BlobKind>& kind,
                           SharedBuffer bytes, const Result<crypto::Sha256Digest>& digest,
                           OnStored on_done) {
    if (!digest) {
        --under_way_;
        tally_.refused_uploads.add();
        on_done(digest.error());
        return;
    }
    if (hidden_.denied(key)) {
        --under_way_;
        tally_.denied.add();
        on_done(refused_by_denylist());
        return;
    }
    gate_(key, [this, alive = std::weak_ptr(alive_), key, kind, bytes = std::move(bytes),
                digest = *digest, on_done = std::move(on_done)](const Status& free) {
        if (alive.expired()) return;
        if (free) return put(key, kind, bytes, digest, on_done);
        --under_way_;
        on_done(free.error());
    });
}

void Uploader::put(const store::ObjectKey& key, const std::shared_ptr<BlobKind>& kind,
                   const SharedBuffer& bytes, const crypto::Sha256Digest& digest,
                   OnStored on_done) {
    if (hidden_.denied(key)) {  // while it waited
        --under_way_;
        tally_.denied.add();
        on_done(refused_by_denylist());
        return;
    }
    if (const auto same = uploads_.find(key); same != uploads_.end()) {
        same->second.waiting.push_back(std::move(on_done));
        return;
    }
    // DEVIATION for metadata: two files may share their info dictionary and differ outside of it;
    // the last one stored stands, so it is always put.
    if (key.kind == store::ObjectKind::kChunk && stored_.find(key, options_.stored_promise_ttl)) {
        --under_way_;
        tally_.already_there.add();
        on_done(StoreOutcome{.already_there = true, .durability = durability_of(key)});
        return;
    }
    Upload& upload = uploads_[key];
    upload.waiting.push_back(std::move(on_done));
    upload.transfer = store_.put(
        key, bytes, digest, [this, key, kind, bytes](const Result<store::PutOutcome>& outcome) {
            on_put(key, kind, bytes, outcome);
        });
}

void Uploader::on_put(const store::ObjectKey& key, const std::shared_ptr<BlobKind>& kind,
                      const SharedBuffer& bytes, const Result<store::PutOutcome>& outcome) {
    Upload ended = std::move(uploads_.at(key));
    uploads_.erase(key);
    dispose(loop_, std::move(ended.transfer));
    under_way_ -= ended.waiting.size();

    Result<StoreOutcome> answer_of_all = StoreOutcome{};
    if (outcome) {
        const bool was_there = *outcome == store::PutOutcome::kAlreadyThere;
        (was_there ? tally_.already_there : tally_.uploads).add();
        if (!was_there) tally_.uploaded_bytes.add(bytes->size());
        answer_of_all = StoreOutcome{.already_there = was_there, .durability = durability_of(key)};
        if (!store_.pending_size(key)) stored_.note(key, bytes->size());
        missing_.forget(key);
        fetcher_.adopt(key, kind, bytes);
    } else {
        // We verified the bytes: what the store finds wrong with them happened on the way to it.
        Error error = as_seen_by_requester(outcome.error());
        if (error.code == ErrorCode::kCorrupt) error.code = ErrorCode::kUnavailable;
        kLog.warn("event=upload-failed key={} code={} detail=\"{}\"", key.path(),
                  to_string(error.code), error.detail);
        answer_of_all = std::move(error);
    }
    answer_all(ended, answer_of_all);
}

void Uploader::when_idle(const store::ObjectKey& key, std::function<void()> task) {
    const auto found = uploads_.find(key);
    if (found == uploads_.end()) return task();
    found->second.when_idle.push_back(std::move(task));
}

void Uploader::end_denied() {
    std::vector<store::ObjectKey> denied;
    for (const auto& [key, upload] : uploads_) {
        if (hidden_.denied(key)) denied.push_back(key);
    }
    for (const store::ObjectKey& key : denied) {
        Upload ended = std::move(uploads_.at(key));
        uploads_.erase(key);
        ended.transfer.reset();
        under_way_ -= ended.waiting.size();
        tally_.denied.add(ended.waiting.size());
        loop_.post([this, alive = std::weak_ptr(alive_),
                    ended = std::make_shared<const Upload>(std::move(ended))] {
            if (!alive.expired()) answer_all(*ended, refused_by_denylist());
        });
    }
}

void Uploader::answer_all(const Upload& ended, const Result<StoreOutcome>& outcome) {
    const std::weak_ptr alive(alive_);
    for (const OnStored& on_done : ended.waiting) {
        on_done(outcome);
        if (alive.expired()) return;
    }
    for (const auto& task : ended.when_idle) {
        task();
        if (alive.expired()) return;
    }
}

Durability Uploader::durability_of(const store::ObjectKey& key) const {
    return store_.pending_size(key) ? Durability::kJournaled : Durability::kObjectStore;
}

void Uploader::answer(OnStored on_done, Result<StoreOutcome> outcome) {
    loop_.post([alive = std::weak_ptr(alive_), on_done = std::move(on_done),
                outcome = std::move(outcome)] {
        if (!alive.expired()) on_done(outcome);
    });
}

}  // namespace kollator::chunk
