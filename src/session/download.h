#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "chunk/chunk_service.h"
#include "protocol/blobs.h"
#include "protocol/deflate.h"

namespace kollator::session {

/// A blob on its way to the peer: pulls pieces from a reader and puts a head before each. Holds one
/// piece at most, and only while the transport refuses it.
class Download {
 public:
    enum class Step { kMessage, kWaiting };

    Download(protocol::MessageType answer, protocol::RequestId id,
             std::unique_ptr<chunk::Reader> reader)
        : answer_(answer), id_(id), reader_(std::move(reader)) {}

    /// kMessage: head() and data() are the next message; asked again before sent(), it stays.
    /// kWaiting: the reader's on_ready follows. An error ends the request. REQUIRES: !finished().
    Result<Step> prepare(std::uint32_t max_data_bytes);

    ByteSpan head() const {
        return packed_ ? ByteSpan(head_).first(protocol::kHeaderBytes) : head_;
    }
    ByteSpan data() const { return packed_ ? ByteSpan(*packed_) : piece_->bytes; }
    /// data() as a share of its buffer. Null where it is better copied: packed data, and what would
    /// hold on to much more than itself or to somebody's lease.
    const BufferSlice* shared_data() const;
    /// Compresses the message where it pays; once for each. True where it was worth a try.
    /// REQUIRES: kMessage.
    bool pack(protocol::Deflater& deflater);
    /// The message was handed over.
    void sent();
    /// The last message was handed over.
    bool finished() const { return finished_; }
    bool began() const { return began_; }
    /// Of the next piece that is read, in the blob.
    std::uint32_t position() const { return reader_->position(); }

 private:
    void put_head(std::uint32_t offset, bool last);

    const protocol::MessageType answer_;
    const protocol::RequestId id_;
    std::unique_ptr<chunk::Reader> reader_;
    std::optional<BufferSlice> piece_;
    bool pack_tried_ = false;
    std::optional<Bytes> packed_;  // the piece and its place, compressed
    protocol::PackTrial trial_;
    std::array<std::uint8_t, protocol::kResponseHeadBytes> head_{};
    bool began_ = false;
    bool finished_ = false;
};

}  // namespace kollator::session
