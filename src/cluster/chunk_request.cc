#include "cluster/chunk_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace kollator::cluster {

ChunkRequest::ChunkRequest(EventLoop& loop, peer::Requests& requests, const Params& params,
                           ChunkSource::OnProgress on_progress, ChunkSource::OnDone on_done,
                           OnEnd on_end)
    : requests_(&requests),
      params_(params),
      on_progress_(std::move(on_progress)),
      on_done_(std::move(on_done)),
      on_end_(std::move(on_end)),
      timer_(loop),
      loop_(loop),
      own_bytes_at_(loop.now()) {
    const std::weak_ptr alive(alive_);
    request_ = requests.stream(
        {params.id, 0, 0}, {.deadline = params.deadline},
        [this, alive](const protocol::ResponseFragment& fragment) -> Status {
            if (alive.expired() || requests_ == nullptr) {
                return make_error(ErrorCode::kCancelled, "nobody waits for it");
            }
            return take(fragment);
        },
        [this, alive](const Result<void>& answer) {
            if (!alive.expired() && requests_ != nullptr) on_answer(answer);
        });
    await_more();
}

ChunkRequest::~ChunkRequest() {
    if (requests_ == nullptr) return;
    requests_->cancel(request_);
    on_end_(*this, nullptr);
}

void ChunkRequest::await_more() {
    own_bytes_at_ = loop_.now();
    wait_until(own_bytes_at_ + std::chrono::duration_cast<TimePoint::duration>(params_.wait));
}

void ChunkRequest::wait_until(TimePoint when) {
    timer_.start_at(when, [this] { on_timer(); });
}

/// Until when, where it is worth it.
std::optional<TimePoint> ChunkRequest::waits_on(TimePoint now) const {
    const auto wait = std::chrono::duration_cast<TimePoint::duration>(params_.wait);
    const TimePoint heard = params_.heard ? params_.heard() : own_bytes_at_;
    if (now < heard + wait && now < own_bytes_at_ + kMaxWaits * wait) return heard + wait;
    const TimePoint alive = requests_->heard();
    const TimePoint longest = own_bytes_at_ + kMaxAliveWaits * wait;
    if (now < alive + wait && now < longest) return std::min(alive + wait, longest);
    return std::nullopt;
}

void ChunkRequest::on_timer() {
    const TimePoint now = loop_.now();
    if (const auto until = waits_on(now)) return wait_until(*until);
    requests_->cancel(request_);
    const auto silent_ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(now - own_bytes_at_).count();
    end(make_error(ErrorCode::kTimeout, fmt::format("nothing came for {} ms", silent_ms)));
}

Status ChunkRequest::take(const protocol::ResponseFragment& fragment) {
    if (!buffer_) {
        if (fragment.total == 0 || fragment.total > params_.options.max_bytes) {
            return make_error(ErrorCode::kInvalid,
                              fmt::format("a chunk of {} bytes, {} are allowed", fragment.total,
                                          params_.options.max_bytes));
        }
        auto lease = params_.options.budget->try_acquire(fragment.total);
        if (!lease) return make_error(ErrorCode::kLimit, "the memory for fetches is used up");
        buffer_ = std::make_shared<Buffer>(fragment.total, std::move(lease));
    }
    const bool follows = fragment.total == buffer_->size() && fragment.offset == received_ &&
                         fragment.data.size() <= buffer_->size() - received_;
    if (!follows) return make_error(ErrorCode::kInvalid, "fragments that do not fit together");
    std::copy(fragment.data.begin(), fragment.data.end(), buffer_->data() + received_);
    received_ += fragment.data.size();
    await_more();
    on_progress_(buffer_, received_);
    return {};
}

void ChunkRequest::on_answer(const Result<void>& answer) {
    if (!answer) return end(answer.error());
    if (!buffer_ || received_ != buffer_->size()) {
        return end(make_error(ErrorCode::kInvalid, "an answer that is cut short"));
    }
    end(SharedBuffer(std::move(buffer_)));
}

void ChunkRequest::lose(const std::string& reason) {
    end(make_error(ErrorCode::kUnavailable, reason));
}

/// The asker may destroy it.
void ChunkRequest::end(Result<SharedBuffer> result) {
    requests_ = nullptr;
    timer_.cancel();
    on_end_(*this, &result);
    const auto done = std::exchange(on_done_, nullptr);
    done(std::move(result));
}

}  // namespace kollator::cluster
