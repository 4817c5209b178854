#include "session/download.h"

#include <utility>

namespace kollator::session {

using protocol::Flag;

Result<Download::Step> Download::prepare(std::uint32_t max_data_bytes) {
    if (piece_) return Step::kMessage;
    const std::uint32_t offset = reader_->position();
    if (reader_->finished()) {  // an empty range: one message without data answers it
        piece_.emplace();
        put_head(offset, true);
        return Step::kMessage;
    }
    Result<std::optional<BufferSlice>> next = reader_->next(max_data_bytes);
    if (!next.ok()) return next.error();
    if (!next->has_value()) return Step::kWaiting;
    piece_ = std::move(**next);
    const bool last = reader_->finished();
    if (piece_->bytes.size() > max_data_bytes || (piece_->bytes.empty() && !last)) {
        return make_error(ErrorCode::kInternal, "a reader gave a piece of the wrong size");
    }
    put_head(offset, last);
    return Step::kMessage;
}

void Download::put_head(std::uint32_t offset, bool last) {
    const protocol::Flags flags =
        last ? protocol::Flags(Flag::kResponse) : Flag::kResponse | Flag::kMore;
    protocol::encode_response_head(head_, {answer_, flags, id_}, reader_->total_bytes(), offset);
}

void Download::sent() {
    piece_.reset();
    began_ = true;
    finished_ = reader_->finished();
}

}  // namespace kollator::session
