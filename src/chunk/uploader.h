#pragma once

#include <map>
#include <memory>
#include <vector>

#include "chunk/blob_kind.h"
#include "chunk/chunk_service.h"
#include "chunk/fetcher.h"
#include "chunk/known_names.h"
#include "chunk/options.h"

namespace kollator::chunk {

/// A blob's way in: verified, put into the object store unless it is known to be there, answered
/// when that is durable, and then kept for readers. Stores of the same name share one upload. Loop
/// thread only; destroying it cancels what is under way.
class Uploader {
 public:
    using OnStored = ChunkService::OnStored;
    /// Runs `go_on` once `key` may be stored, or with an error where it may not now.
    using Gate =
        std::function<void(const store::ObjectKey& key, std::function<void(Status)> go_on)>;

    /// All references outlive the uploader.
    Uploader(EventLoop& loop, JobPool& jobs, store::ObjectStore& store, Fetcher& fetcher,
             KnownStored& stored, KnownMissing& missing, const HiddenNames& hidden, Tally& tally,
             const ChunkServiceOptions& options, Gate gate);

    void store(const store::ObjectKey& key, const std::shared_ptr<BlobKind>& kind,
               SharedBuffer bytes, OnStored on_done);

    /// Ends every upload of a name that is denied now.
    void end_denied();

    /// Runs `task` when no upload of `key` is under way: before this returns where none is.
    void when_idle(const store::ObjectKey& key, std::function<void()> task);

 private:
    struct Upload {
        store::TransferHandle transfer;
        std::vector<OnStored> waiting;
        std::vector<std::function<void()>> when_idle;
    };

    void on_verified(const store::ObjectKey& key, const std::shared_ptr<BlobKind>& kind,
                     SharedBuffer bytes, const Result<crypto::Sha256Digest>& digest,
                     OnStored on_done);
    void put(const store::ObjectKey& key, const std::shared_ptr<BlobKind>& kind,
             const SharedBuffer& bytes, const crypto::Sha256Digest& digest, OnStored on_done);
    void on_put(const store::ObjectKey& key, const std::shared_ptr<BlobKind>& kind,
                const SharedBuffer& bytes, const Result<store::PutOutcome>& outcome);
    /// Of an object that the store has acknowledged.
    Durability durability_of(const store::ObjectKey& key) const;
    void answer(OnStored on_done, Result<StoreOutcome> outcome);
    void answer_all(const Upload& ended, const Result<StoreOutcome>& outcome);

    EventLoop& loop_;
    JobPool& jobs_;
    store::ObjectStore& store_;
    Fetcher& fetcher_;
    KnownStored& stored_;
    KnownMissing& missing_;
    const HiddenNames& hidden_;
    Tally& tally_;
    const ChunkServiceOptions& options_;
    const Gate gate_;

    std::map<store::ObjectKey, Upload> uploads_;
    std::size_t under_way_ = 0;  // stores accepted and not answered
    const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace kollator::chunk
