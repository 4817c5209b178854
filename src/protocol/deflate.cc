#include "protocol/deflate.h"

#include <libdeflate.h>

#include "base/check.h"

namespace kollator::protocol {
namespace {

/// The fastest that still searches for matches: level 6 was three times slower for a twentieth
/// less.
constexpr int kLevel = 1;

/// A tenth less, at least.
constexpr std::size_t worth(std::size_t bytes) {
    return bytes - bytes / 10;
}

}  // namespace

void Deflater::Free::operator()(libdeflate_compressor* compressor) const {
    libdeflate_free_compressor(compressor);
}

Deflater::Deflater() : compressor_(libdeflate_alloc_compressor(kLevel)) {
    KOLLATOR_CHECK(compressor_ != nullptr);
}

Deflater::~Deflater() = default;

bool Deflater::compress(ByteSpan from, std::size_t worth_bytes) {
    if (packed_.size() < worth_bytes) packed_.resize(worth_bytes);
    // 0 where it does not fit.
    packed_bytes_ = libdeflate_deflate_compress(compressor_.get(), from.data(), from.size(),
                                                packed_.data(), worth_bytes);
    return packed_bytes_ > 0;
}

ByteSpan Deflater::pack(ByteSpan head, ByteSpan data, PackTrial& trial) {
    if (data.size() < kMinBytes) return {};
    if (trial.passes > 0) {
        --trial.passes;
        return {};
    }
    if (data.size() > 2 * kSampleBytes) {
        const ByteSpan sample = data.subspan(data.size() / 2, kSampleBytes);
        if (!compress(sample, worth(sample.size()))) {
            trial.passes = kPassesAfterFailure;
            return {};
        }
    }
    joined_.assign(head.begin(), head.end());
    joined_.insert(joined_.end(), data.begin(), data.end());
    if (!compress(joined_, worth(joined_.size()))) {
        trial.passes = kPassesAfterFailure;
        return {};
    }
    return ByteSpan(packed_).first(packed_bytes_);
}

void Inflater::Free::operator()(libdeflate_decompressor* decompressor) const {
    libdeflate_free_decompressor(decompressor);
}

Inflater::Inflater() : decompressor_(libdeflate_alloc_decompressor()) {
    KOLLATOR_CHECK(decompressor_ != nullptr);
}

Inflater::~Inflater() = default;

Result<ByteSpan> Inflater::unpack(ByteSpan packed, std::size_t max_bytes) {
    if (out_.size() < max_bytes) out_.resize(max_bytes);
    std::size_t read_bytes = 0;
    std::size_t written_bytes = 0;
    const libdeflate_result result =
        libdeflate_deflate_decompress_ex(decompressor_.get(), packed.data(), packed.size(),
                                         out_.data(), max_bytes, &read_bytes, &written_bytes);
    if (result == LIBDEFLATE_INSUFFICIENT_SPACE) {
        return make_error(ErrorCode::kLimit,
                          "the body inflates to more than " + std::to_string(max_bytes) + " bytes");
    }
    if (result != LIBDEFLATE_SUCCESS) {
        return make_error(ErrorCode::kInvalid, "the body is no whole DEFLATE stream");
    }
    if (read_bytes != packed.size()) {
        return make_error(ErrorCode::kInvalid, "bytes after the end of the DEFLATE stream");
    }
    return ByteSpan(out_).first(written_bytes);
}

}  // namespace kollator::protocol
