#include "session/upload.h"

#include <fmt/format.h>

#include <cstring>
#include <iterator>
#include <utility>

#include "base/check.h"

namespace kollator::session {

Upload::Upload(std::shared_ptr<Buffer> buffer) : buffer_(std::move(buffer)) {
    KOLLATOR_CHECK(buffer_ && buffer_->size() > 0);
}

Status Upload::add(std::uint32_t offset, ByteSpan data, bool last) {
    KOLLATOR_CHECK(!data.empty() && data.size() <= total_bytes() - offset);
    if (last && last_seen_) {
        return make_error(ErrorCode::kInvalid, "two fragments without MORE");
    }
    std::uint32_t begin = offset;
    std::uint32_t end = offset + static_cast<std::uint32_t>(data.size());

    auto after = pieces_.lower_bound(begin);
    const bool overlaps_after = after != pieces_.end() && after->first < end;
    const bool overlaps_before = after != pieces_.begin() && std::prev(after)->second > begin;
    if (overlaps_after || overlaps_before) {
        return make_error(ErrorCode::kInvalid,
                          fmt::format("bytes {} to {} overlap an earlier fragment", begin, end));
    }

    std::memcpy(buffer_->data() + offset, data.data(), data.size());
    received_bytes_ += static_cast<std::uint32_t>(data.size());
    last_seen_ = last_seen_ || last;

    if (after != pieces_.end() && after->first == end) {
        end = after->second;
        after = pieces_.erase(after);
    }
    if (after != pieces_.begin() && std::prev(after)->second == begin) {
        std::prev(after)->second = end;
    } else {
        pieces_.emplace(begin, end);
    }
    if (pieces_.size() > kMaxUploadGaps) {
        return make_error(ErrorCode::kInvalid,
                          fmt::format("more than {} gaps between fragments", kMaxUploadGaps));
    }
    return {};
}

}  // namespace kollator::session
