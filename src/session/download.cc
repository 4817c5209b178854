#include "session/download.h"

#include <algorithm>
#include <utility>

namespace kollator::session {

using protocol::Flag;

namespace {

/// A peer that does not read makes us hold this many times what its send buffer counts, at most.
constexpr std::size_t kMostKeptPerByte = 2;

}  // namespace

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

const BufferSlice* Download::shared_data() const {
    const Buffer* const owner = piece_->owner.get();
    if (packed_ || owner == nullptr || owner->leased()) return nullptr;
    return owner->size() <= kMostKeptPerByte * piece_->bytes.size() ? &*piece_ : nullptr;
}

bool Download::pack(protocol::Deflater& deflater) {
    if (std::exchange(pack_tried_, true)) return false;
    const bool tries = trial_.passes == 0;
    const ByteSpan place = ByteSpan(head_).subspan(protocol::kHeaderBytes);
    const ByteSpan packed = deflater.pack(place, piece_->bytes, trial_);
    if (packed.empty()) return tries;
    packed_.emplace(packed.begin(), packed.end());
    const protocol::Header header = *protocol::peek_header(head_);
    const auto marked =
        protocol::encode_header({header.type, header.flags | Flag::kCompressed, header.request_id});
    std::copy(marked.begin(), marked.end(), head_.begin());
    return true;
}

void Download::sent() {
    piece_.reset();
    packed_.reset();
    pack_tried_ = false;
    began_ = true;
    finished_ = reader_->finished();
}

}  // namespace kollator::session
