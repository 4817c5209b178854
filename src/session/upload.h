#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

#include "base/buffer.h"
#include "base/result.h"

namespace kollator::session {

/// Gaps that an upload may have at once. A chunk of 5 MiB in fragments of 16 KiB has 320 pieces, so
/// at most 160 gaps in the worst order; a stranger's single bytes could else make millions.
inline constexpr std::size_t kMaxUploadGaps = 1024;

/// Puts a blob together from fragments that come in any order. Pure.
class Upload {
 public:
    /// `buffer` has the blob's size, which is not 0.
    explicit Upload(std::shared_ptr<Buffer> buffer);

    /// kInvalid: it overlaps what is already there, a second fragment says that it is the last, or
    /// there are too many gaps; the upload is then of no further use.
    /// REQUIRES: 0 < data.size(), offset + data.size() <= total_bytes().
    Status add(std::uint32_t offset, ByteSpan data, bool last);

    std::uint32_t total_bytes() const { return static_cast<std::uint32_t>(buffer_->size()); }
    std::uint32_t received_bytes() const { return received_bytes_; }
    bool complete() const { return received_bytes_ == buffer_->size(); }
    /// The fragment without MORE has come.
    bool last_seen() const { return last_seen_; }

    /// The blob. REQUIRES: complete(). Called once.
    SharedBuffer take() { return std::move(buffer_); }

 private:
    std::shared_ptr<Buffer> buffer_;
    /// What is there: begin -> end. Neither overlapping nor adjacent.
    std::map<std::uint32_t, std::uint32_t> pieces_;
    std::uint32_t received_bytes_ = 0;
    bool last_seen_ = false;
};

}  // namespace kollator::session
