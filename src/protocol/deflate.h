#pragma once

#include <cstddef>
#include <memory>

#include "base/bytes.h"
#include "base/result.h"

struct libdeflate_compressor;
struct libdeflate_decompressor;

// Bodies with COMPRESSED set (docs/protocol.md, 2.1): raw DEFLATE, RFC 1951 (libdeflate wrapped
// once). One thread at a time.
namespace kollator::protocol {

/// What stands in HELLO's `accept`.
inline constexpr const char* kDeflateRaw = "deflate-raw";

/// How it went with the earlier messages of one blob, so that one which does not compress is not
/// tried again and again. A new one for each blob.
struct PackTrial {
    unsigned passes = 0;  ///< messages to leave alone before the next try
};

/// Compresses bodies where it pays.
class Deflater {
 public:
    Deflater();
    ~Deflater();
    Deflater(const Deflater&) = delete;
    Deflater& operator=(const Deflater&) = delete;

    /// `head` and `data` joined and compressed, where that saves a tenth at least; else empty.
    /// Cheap where it does not: 4 KiB out of the middle are tried first, and after a failure the
    /// next kPassesAfterFailure messages are not. The answer is valid until the next call. About
    /// 0.4 ms for 64 KiB of text.
    ByteSpan pack(ByteSpan head, ByteSpan data, PackTrial& trial);

    static constexpr std::size_t kMinBytes = 1024;
    static constexpr std::size_t kSampleBytes = 4096;
    static constexpr unsigned kPassesAfterFailure = 15;

 private:
    /// True where `from` shrinks into `to`, which is as large as may be useful.
    bool compress(ByteSpan from, std::size_t worth_bytes);

    struct Free {
        void operator()(libdeflate_compressor* compressor) const;
    };
    const std::unique_ptr<libdeflate_compressor, Free> compressor_;
    Bytes joined_;
    Bytes packed_;
    std::size_t packed_bytes_ = 0;
};

/// Undoes it, for a stranger's bytes.
class Inflater {
 public:
    Inflater();
    ~Inflater();
    Inflater(const Inflater&) = delete;
    Inflater& operator=(const Inflater&) = delete;

    /// Never writes more than `max_bytes`, however much it would become. kInvalid: no DEFLATE
    /// stream, or bytes after its end; kLimit: more than `max_bytes`. Valid until the next call.
    Result<ByteSpan> unpack(ByteSpan packed, std::size_t max_bytes);

 private:
    struct Free {
        void operator()(libdeflate_decompressor* decompressor) const;
    };
    const std::unique_ptr<libdeflate_decompressor, Free> decompressor_;
    Bytes out_;
};

}  // namespace kollator::protocol
