#include "chunk/blob_reader.h"

#include <algorithm>

#include "base/check.h"

namespace kollator::chunk {
namespace {

/// Read from the cache and verified at once: two of its blocks, about 25 us on the loop's thread.
constexpr std::uint32_t kWindowBytes = 128 * 1024;
/// Held back of a range until the whole blob is verified. Not just the last byte: the last message
/// should be worth its header.
constexpr std::uint32_t kHoldBackBytes = 64 * 1024;
/// Less than this is not given out while more is on its way.
constexpr std::size_t kMinSliceBytes = 16 * 1024;
/// Cache, fetch, cache, fetch: by then something is out of order.
constexpr unsigned kMaxSourceChanges = 8;

}  // namespace

BlobReader::BlobReader(EventLoop& loop, Fetcher& fetcher, std::weak_ptr<int> fetcher_alive,
                       Tally& tally, std::shared_ptr<BlobKind> kind, const store::ObjectKey& key,
                       Range range, ChunkService::OnReady on_ready)
    : loop_(loop),
      fetcher_(fetcher),
      fetcher_alive_(std::move(fetcher_alive)),
      tally_(tally),
      kind_(std::move(kind)),
      key_(key),
      range_(range),
      on_ready_(std::move(on_ready)),
      position_(range.offset),
      end_(range.offset) {
    look_whether_hidden();
    if (error_) return;
    cached_ = kind_->find(key_);
    if (cached_) {
        tally_.hits.add();
        return;
    }
    tally_.misses.add();
    join_fetch();
}

BlobReader::~BlobReader() {
    leave_fetch();
}

/// A name may be denied or deleted while it is being read.
void BlobReader::look_whether_hidden() {
    const HiddenNames& hidden = fetcher_.hidden();
    if (seen_generation_ == hidden.generation()) return;
    seen_generation_ = hidden.generation();
    if (auto refusal = hidden.refusal_of(key_)) {
        if (is_refusal(*refusal)) tally_.denied.add();
        error_ = std::move(refusal);
    }
}

void BlobReader::join_fetch() {
    first_generation_ = 0;
    if (++source_changes_ > kMaxSourceChanges) {
        error_ = make_error(ErrorCode::kUnavailable, "no source gave the whole of " + key_.path());
        return;
    }
    auto fetch = fetcher_.join(key_, kind_, *this);
    if (fetch) {
        fetch_ = std::move(*fetch);
    } else {
        error_ = fetch.error();
    }
}

void BlobReader::leave_fetch() {
    if (!fetch_) return;
    const FetchPtr left = std::move(fetch_);
    fetch_ = nullptr;
    if (!fetcher_alive_.expired()) fetcher_.leave(left, *this);
}

/// The size is known: so is the range. REQUIRES: nothing has been given out, or the same size
/// again.
Status BlobReader::resolve(std::uint32_t total) {
    if (has_bytes_ && total != total_) {
        return make_error(ErrorCode::kCorrupt, "the size of " + key_.path() + " changed");
    }
    total_ = total;
    if (range_.offset >= total) {
        return make_error(ErrorCode::kInvalid, "the range begins past the end");
    }
    const std::uint32_t left = total - range_.offset;
    end_ = range_.length == 0 || range_.length > left ? total : range_.offset + range_.length;
    return {};
}

BlobReader::Piece BlobReader::next(std::uint32_t max_bytes) {
    KOLLATOR_CHECK(max_bytes > 0 && !finished());
    if (fetcher_alive_.expired()) return make_error(ErrorCode::kCancelled, "the service is gone");
    max_bytes_ = max_bytes;
    if (!error_) look_whether_hidden();
    if (!window_ && !error_) {
        if (auto status = step(); !status) error_ = status.error();
    }
    if (error_) {
        cached_ = nullptr;
        leave_fetch();
        return *error_;
    }
    if (!window_) {
        waiting_ = true;
        return std::optional<BufferSlice>();
    }
    BufferSlice slice = *window_;
    slice.bytes = slice.bytes.first(std::min<std::size_t>(max_bytes, slice.bytes.size()));
    window_->bytes = window_->bytes.subspan(slice.bytes.size());
    if (window_->bytes.empty()) window_.reset();
    position_ += static_cast<std::uint32_t>(slice.bytes.size());
    has_bytes_ = true;
    tally_.served_bytes.add(slice.bytes.size());
    if (window_is_cached_) tally_.cached_bytes.add(slice.bytes.size());
    if (finished()) {
        cached_ = nullptr;
        leave_fetch();
    }
    return std::optional(std::move(slice));
}

/// Tries to fill the window, from one source after the other. An error ends the request.
Status BlobReader::step() {
    while (!window_ && !error_ && (cached_ || fetch_)) {
        const unsigned before = source_changes_;
        const Status status = cached_ ? step_cached() : step_fetch();
        if (!status) return status;
        if (source_changes_ == before) return {};
    }
    return {};
}

Status BlobReader::step_cached() {
    if (reading_) return {};
    if (auto status = resolve(cached_->size_bytes()); !status) return status;
    // Up to the next window's start, so that no block is read and checked twice.
    const std::uint32_t stop = (position_ / kWindowBytes + 1) * kWindowBytes;
    const std::uint32_t length = std::min(stop, end_) - position_;
    auto slice = cached_->try_read(position_, length);
    if (!slice) {
        read_cached(length);
    } else if (*slice) {
        window_ = std::move(**slice);
        window_is_cached_ = source_changes_ == 0;
    } else {
        cached_failed(slice->error());
    }
    return {};
}

void BlobReader::read_cached(std::uint32_t length) {
    reading_ = true;
    cached_->read(position_, length,
                  [this, alive = std::weak_ptr(alive_)](Result<BufferSlice> slice) {
                      if (alive.expired()) return;
                      reading_ = false;
                      if (slice) {
                          window_ = std::move(*slice);
                          window_is_cached_ = source_changes_ == 0;
                      } else {
                          cached_failed(slice.error());
                      }
                      wake();
                  });
}

/// The cache has dropped the chunk, or cannot read it now: the object store has it.
void BlobReader::cached_failed(const Error&) {
    tally_.healed_reads.add();
    cached_ = nullptr;
    join_fetch();
}

Status BlobReader::step_fetch() {
    const Fetch& fetch = *fetch_;
    if (first_generation_ != 0 && first_generation_ <= fetch.corrupt_generation) {
        return make_error(ErrorCode::kCorrupt,
                          "the object store gave wrong bytes of " + key_.path());
    }
    switch (fetch.state) {
        case FetchState::kFailed:
            return *fetch.error;
        case FetchState::kKept:
            leave_fetch();
            cached_ = kind_->find_again(key_);
            ++source_changes_;
            if (!cached_) join_fetch();
            return {};
        case FetchState::kVerified:
            if (auto status = resolve(fetch.total); !status) return status;
            return take_from_buffer();
        case FetchState::kQueued:
            return {};
        case FetchState::kFetching:
        case FetchState::kVerifying:
            break;
    }
    if (fetch.total == 0) return {};
    if (auto status = resolve(fetch.total); !status) return status;
    return take_from_buffer();
}

/// How many bytes from this position on the fetch lets out now. REQUIRES: resolved.
std::size_t BlobReader::ready_bytes() const {
    const Fetch& fetch = *fetch_;
    if (fetch.state == FetchState::kVerified) return end_ - position_;
    if (!kind_->cut_through() || end_ - range_.offset <= kHoldBackBytes) return 0;
    const std::size_t last = end_ - kHoldBackBytes;
    const std::size_t limit = std::min(fetch.available, last);
    if (limit <= position_) return 0;
    const std::size_t ready = limit - position_;
    return ready < kMinSliceBytes && limit < last ? 0 : ready;
}

Status BlobReader::take_from_buffer() {
    const std::size_t length = std::min<std::size_t>(ready_bytes(), max_bytes_);
    if (length == 0) return {};
    window_ = BufferSlice{fetch_->buffer, fetch_->buffer->span().subspan(position_, length)};
    window_is_cached_ = false;
    if (fetch_->state != FetchState::kVerified) {
        if (first_generation_ == 0) first_generation_ = fetch_->generation;
        fetch_->given = std::max(fetch_->given, position_ + length);
    }
    return {};
}

/// Whether next() would do more than wait. Takes nothing: whoever waits for room elsewhere must not
/// hold a fetch's buffer meanwhile.
bool BlobReader::worth_calling() {
    if (window_ || error_ || !fetch_) return true;
    const Fetch& fetch = *fetch_;
    if (fetch.state == FetchState::kFailed || fetch.state == FetchState::kKept) return true;
    if (first_generation_ != 0 && first_generation_ <= fetch.corrupt_generation) return true;
    if (fetch.state == FetchState::kQueued || fetch.total == 0) return false;
    return !resolve(fetch.total) || ready_bytes() > 0;
}

void BlobReader::wake() {
    if (!waiting_ || woken_) return;
    woken_ = true;
    loop_.post([this, alive = std::weak_ptr(alive_)] {
        if (alive.expired()) return;
        woken_ = false;
        if (!waiting_) return;
        if (reading_ || !worth_calling()) return;
        waiting_ = false;
        if (on_ready_) on_ready_();
    });
}

}  // namespace kollator::chunk
