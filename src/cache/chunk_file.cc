#include "cache/chunk_file.h"

#include <xxhash.h>

#include <algorithm>

#include "base/check.h"
#include "crypto/hash.h"

namespace kollator::cache {
namespace {

constexpr std::string_view kMagic = "KOLLCHNK";
constexpr std::uint16_t kVersion = 1;
/// How far ahead of a blocking read the kernel is told to read: some windows of a reader.
constexpr std::uint64_t kReadAheadBytes = 512 * 1024;

ByteSpan block_of(ByteSpan chunk, std::size_t index) {
    const std::size_t start = index * kBlockBytes;
    return chunk.subspan(start, std::min<std::size_t>(kBlockBytes, chunk.size() - start));
}

std::size_t block_count(std::size_t chunk_bytes) {
    return (chunk_bytes + kBlockBytes - 1) / kBlockBytes;
}

void write_trailer_fields(ByteWriter& out, const ChunkId& id, std::uint32_t chunk_bytes) {
    out.bytes(as_bytes(kMagic));
    out.u16(kVersion);
    out.u16(0);
    out.u32(kBlockBytes);
    out.u32(chunk_bytes);
    out.u32(0);
    out.bytes(id.span());
}

Bytes make_footer(const ChunkId& id, ByteSpan chunk) {
    Bytes footer;
    footer.reserve(block_count(chunk.size()) * 8 + kTrailerBytes);
    ByteWriter out(footer);
    for (std::size_t i = 0; i < block_count(chunk.size()); ++i) {
        out.u64(checksum(block_of(chunk, i)));
    }
    write_trailer_fields(out, id, static_cast<std::uint32_t>(chunk.size()));
    out.u64(checksum(footer));
    return footer;
}

/// The checksums of the blocks; empty where this is not the footer of that chunk.
std::optional<std::vector<std::uint64_t>> parse_footer(ByteSpan footer, const ChunkId& id,
                                                       std::uint32_t chunk_bytes) {
    if (checksum(footer.first(footer.size() - 8)) != load_u64(&footer[footer.size() - 8])) {
        return std::nullopt;
    }
    Bytes expected;
    ByteWriter out(expected);
    write_trailer_fields(out, id, chunk_bytes);
    const ByteSpan fields = footer.subspan(footer.size() - kTrailerBytes, expected.size());
    if (!std::equal(fields.begin(), fields.end(), expected.begin())) return std::nullopt;
    std::vector<std::uint64_t> sums(block_count(chunk_bytes));
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] = load_u64(&footer[i * 8]);
    return sums;
}

Status write_whole(FileSystem& fs, const std::filesystem::path& path, const ChunkId& id,
                   ByteSpan chunk) {
    auto file = fs.create(path);
    if (!file) return file.error();
    if (auto status = (*file)->write_at(0, chunk); !status) return status;
    return (*file)->write_at(chunk.size(), make_footer(id, chunk));
}

}  // namespace

std::uint64_t checksum(ByteSpan bytes) {
    return XXH3_64bits(bytes.data(), bytes.size());
}

std::optional<std::uint32_t> chunk_bytes_of(std::uint64_t file_bytes) {
    if (file_bytes <= kTrailerBytes || file_bytes > file_bytes_of(kMaxChunkBytes)) {
        return std::nullopt;
    }
    // N + 8 * ceil(N / 65536) = rest: every whole block takes 65536 + 8 bytes.
    const std::uint64_t rest = file_bytes - kTrailerBytes;
    const std::uint64_t blocks = (rest + kBlockBytes + 7) / (kBlockBytes + 8);
    if (rest <= 8 * blocks) return std::nullopt;
    const auto chunk_bytes = static_cast<std::uint32_t>(rest - 8 * blocks);
    if (file_bytes_of(chunk_bytes) != file_bytes) return std::nullopt;
    return chunk_bytes;
}

std::filesystem::path chunk_path(const ChunkId& id) {
    const std::string name = id.hex();
    return std::filesystem::path(name.substr(0, 2)) / name;
}

Status write_chunk_file(FileSystem& fs, const std::filesystem::path& temporary,
                        const std::filesystem::path& path, const ChunkId& id, ByteSpan chunk) {
    KOLLATOR_CHECK(!chunk.empty() && chunk.size() <= kMaxChunkBytes);
    Status status = write_whole(fs, temporary, id, chunk);
    if (status) {
        status = fs.rename(temporary, path);
        if (!status && status.error().code == ErrorCode::kNotFound) {
            status = fs.make_directories(path.parent_path());
            if (status) status = fs.rename(temporary, path);
        }
    }
    if (!status) (void)fs.remove(temporary);
    return status;
}

Result<std::shared_ptr<const ChunkFile>> ChunkFile::open(FileSystem& fs,
                                                         const std::filesystem::path& path,
                                                         const ChunkId& id,
                                                         std::uint32_t chunk_bytes) {
    auto file = fs.open_read(path);
    if (!file) return file.error();
    Bytes footer(file_bytes_of(chunk_bytes) - chunk_bytes);
    const auto count = (*file)->read_at(chunk_bytes, footer);
    if (!count) return count.error();
    auto sums = *count == footer.size() ? parse_footer(footer, id, chunk_bytes) : std::nullopt;
    if (!sums) return make_error(ErrorCode::kCorrupt, "footer of " + path.string());
    return std::shared_ptr<const ChunkFile>(
        new ChunkFile(std::move(*file), chunk_bytes, std::move(*sums)));
}

Result<std::optional<BufferSlice>> ChunkFile::read(std::uint32_t offset, std::uint32_t length,
                                                   ReadMode mode) const {
    KOLLATOR_CHECK(length > 0 && offset < chunk_bytes_ && length <= chunk_bytes_ - offset);
    const std::uint32_t first_block = offset / kBlockBytes;
    const std::uint32_t last_block = (offset + length - 1) / kBlockBytes;
    const std::uint32_t start = first_block * kBlockBytes;
    const std::uint32_t end = std::min((last_block + 1) * kBlockBytes, chunk_bytes_);
    auto buffer = std::make_shared<Buffer>(end - start);
    if (mode == ReadMode::kNoWait) {
        const auto count = file_->read_at_nowait(start, buffer->span());
        if (!count) return count.error();
        // A short count may be the end of what is cached, or of a torn file: a blocking read tells.
        if (!*count || **count != buffer->size()) return std::optional<BufferSlice>();
    } else {
        file_->will_need(end, kReadAheadBytes);
        const auto count = file_->read_at(start, buffer->span());
        if (!count) return count.error();
        if (*count != buffer->size()) return make_error(ErrorCode::kCorrupt, "file too short");
    }
    const ByteSpan blocks = std::as_const(*buffer).span();
    for (std::uint32_t block = first_block; block <= last_block; ++block) {
        if (checksum(block_of(blocks, block - first_block)) != block_sums_[block]) {
            return make_error(ErrorCode::kCorrupt, "block " + std::to_string(block));
        }
    }
    return std::optional(BufferSlice{buffer, blocks.subspan(offset - start, length)});
}

bool ChunkFile::is_in_memory() const {
    std::uint8_t byte = 0;
    const auto count = file_->read_at_nowait(0, MutableByteSpan(&byte, 1));
    return count && *count;
}

Status check_chunk_file(FileSystem& fs, const std::filesystem::path& path, const ChunkId& id,
                        std::uint32_t chunk_bytes, bool by_name) {
    constexpr std::uint32_t kWindowBytes = 16 * kBlockBytes;
    const auto file = ChunkFile::open(fs, path, id, chunk_bytes);
    if (!file) return file.error();
    const bool was_in_memory = (*file)->is_in_memory();
    (*file)->drop_cached();
    crypto::Sha256 sum;
    for (std::uint32_t offset = 0; offset < chunk_bytes; offset += kWindowBytes) {
        const std::uint32_t length = std::min(kWindowBytes, chunk_bytes - offset);
        const auto slice = (*file)->read(offset, length, ReadMode::kMayBlock);
        if (!slice) return slice.error();
        if (by_name) sum.update((*slice)->bytes);
    }
    if (!was_in_memory) (*file)->drop_cached();
    if (by_name && sum.finish() != id.bytes()) {
        return make_error(ErrorCode::kCorrupt, "the SHA-256 of " + path.string());
    }
    return {};
}

}  // namespace kollator::cache
