#include "cache/snapshot.h"

#include "cache/chunk_file.h"

namespace kollator::cache {
namespace {

constexpr std::string_view kMagic = "KOLLORDR";
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kHeaderBytes = 16;
constexpr std::size_t kItemBytes = 32 + 8 + 8;
constexpr std::size_t kChecksumBytes = 8;

}  // namespace

Bytes encode_snapshot(const std::vector<SnapshotItem>& items) {
    Bytes bytes;
    bytes.reserve(kHeaderBytes + items.size() * kItemBytes + kChecksumBytes);
    ByteWriter out(bytes);
    out.bytes(as_bytes(kMagic));
    out.u16(kVersion);
    out.u16(0);
    out.u32(static_cast<std::uint32_t>(items.size()));
    for (const SnapshotItem& item : items) {
        out.bytes(item.id.span());
        out.u64(item.hits);
        out.u64(static_cast<std::uint64_t>(item.last_used_ns));
    }
    out.u64(checksum(bytes));
    return bytes;
}

Result<std::vector<SnapshotItem>> decode_snapshot(ByteSpan bytes) {
    const Error corrupt = make_error(ErrorCode::kCorrupt, "no order snapshot");
    if (bytes.size() < kHeaderBytes + kChecksumBytes) return corrupt;
    const ByteSpan body = bytes.first(bytes.size() - kChecksumBytes);
    if (checksum(body) != load_u64(bytes.data() + body.size())) return corrupt;
    ByteReader in(body);
    const bool right_magic = as_text(in.bytes(kMagic.size())) == kMagic;
    const std::uint16_t version = in.u16();
    const std::uint16_t zero = in.u16();
    const std::size_t count = in.u32();
    if (!right_magic || version != kVersion || zero != 0) return corrupt;
    if (in.remaining() % kItemBytes != 0 || in.remaining() / kItemBytes != count) return corrupt;
    std::vector<SnapshotItem> items(count);
    for (SnapshotItem& item : items) {
        item.id = *ChunkId::from_bytes(in.bytes(ChunkId::kSize));
        item.hits = in.u64();
        item.last_used_ns = static_cast<std::int64_t>(in.u64());
    }
    return items;
}

Status write_snapshot(FileSystem& fs, const std::filesystem::path& temporary,
                      const std::filesystem::path& path, ByteSpan snapshot) {
    (void)fs.remove(temporary);
    auto file = fs.create(temporary);
    if (!file) return file.error();
    Status status = (*file)->write_at(0, snapshot);
    file->reset();
    if (status) status = fs.rename(temporary, path);
    if (!status) (void)fs.remove(temporary);
    return status;
}

}  // namespace kollator::cache
