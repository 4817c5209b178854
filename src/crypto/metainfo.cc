#include "crypto/metainfo.h"

#include <bit>
#include <limits>
#include <utility>
#include <vector>

#include "crypto/bencode.h"
#include "crypto/hash.h"

namespace kollator::crypto {
namespace {

using bencode::Type;
using bencode::Value;

Error invalid(const char* what) {
    return make_error(ErrorCode::kInvalid, std::string("metainfo: ") + what);
}

/// BEP 52: "piece length ... must be a power of two and at least 16KiB".
constexpr std::int64_t kMinPieceBytes = 16 * 1024;
constexpr std::int64_t kMaxPieceBytes = 1LL << 30;

/// A file's properties: the dictionary under the empty key of the tree.
Status add_file(const Value& properties, Metainfo& info) {
    const auto length_value = properties.find("length");
    const auto length = length_value ? length_value->integer() : std::nullopt;
    if (!length || *length < 0) return invalid("a file without a length");
    const auto total = static_cast<std::uint64_t>(*length);
    if (total > std::numeric_limits<std::int64_t>::max() - info.length_bytes) {
        return invalid("the files' lengths are beyond 63 bits");
    }
    if (total > 0) {
        const auto root_value = properties.find("pieces root");
        const auto root = root_value ? root_value->string() : std::nullopt;
        if (!root || root->size() != 32) return invalid("a file without its pieces root");
    }
    info.length_bytes += total;
    ++info.file_count;
    return {};
}

/// BEP 52: "file tree": folders and files are dictionaries; the one under the empty key describes
/// the file whose name is one level up. The parser has bounded the depth.
Status walk_file_tree(const Value& tree, Metainfo& info) {
    std::vector<Value> folders{tree};
    Status status;
    while (!folders.empty() && status) {
        const Value folder = folders.back();
        folders.pop_back();
        bool top_level = folder.encoded().data() == tree.encoded().data();
        folder.for_each_entry([&](std::string_view name, const Value& entry) {
            if (entry.type() != Type::kDictionary) {
                status = invalid("a file tree entry that is no dictionary");
            } else if (!name.empty()) {
                folders.push_back(entry);
            } else if (top_level) {
                status = invalid("a file without a name");
            } else {
                status = add_file(entry, info);
            }
            return status.ok();
        });
    }
    if (status && info.file_count == 0) return invalid("a file tree without files");
    return status;
}

Status read_chunk_list(const Value& info_value, Metainfo& info) {
    const auto size_value = info_value.find("kollator-chunk-size");
    const auto hashes_value = info_value.find("kollator-chunk-hashes");
    if (!size_value && !hashes_value) return {};
    const auto size = size_value ? size_value->integer() : std::nullopt;
    const auto hashes = hashes_value ? hashes_value->string() : std::nullopt;
    if (!size || *size < 1 || *size > kMaxKollatorChunkBytes) {
        return invalid("kollator-chunk-size is no size of a chunk");
    }
    if (!hashes || hashes->size() % ChunkId::kSize != 0) {
        return invalid("kollator-chunk-hashes is no list of 32-byte hashes");
    }
    const auto chunk_size = static_cast<std::uint64_t>(*size);
    const std::uint64_t expected =
        info.length_bytes / chunk_size + (info.length_bytes % chunk_size != 0 ? 1 : 0);
    if (info.file_count == 1 && hashes->size() / ChunkId::kSize != expected) {
        return invalid("the number of kollator-chunk-hashes does not fit the file's length");
    }
    info.chunk_size_bytes = static_cast<std::uint32_t>(chunk_size);
    info.chunk_hashes = *hashes;
    return {};
}

Status read_info(const Value& info_value, Metainfo& info) {
    const auto version = info_value.find("meta version");
    if (!version || version->integer() != 2) return invalid("no BitTorrent v2 (meta version 2)");
    const auto name_value = info_value.find("name");
    const auto name = name_value ? name_value->text() : std::nullopt;
    if (!name) return invalid("no name");
    info.name = *name;
    const auto piece_value = info_value.find("piece length");
    const auto piece = piece_value ? piece_value->integer() : std::nullopt;
    if (!piece || *piece < kMinPieceBytes || *piece > kMaxPieceBytes ||
        !std::has_single_bit(static_cast<std::uint64_t>(*piece))) {
        return invalid("piece length is no power of two from 16 KiB to 1 GiB");
    }
    info.piece_length_bytes = static_cast<std::uint32_t>(*piece);
    const auto tree = info_value.find("file tree");
    if (!tree || tree->type() != Type::kDictionary) return invalid("no file tree");
    if (auto status = walk_file_tree(*tree, info); !status) return status;
    return read_chunk_list(info_value, info);
}

}  // namespace

Result<Metainfo> parse_metainfo(ByteSpan bytes, std::size_t max_bytes) {
    const auto document = bencode::parse(bytes, {.max_bytes = max_bytes});
    if (!document) return document.error();
    const auto info_value = document->find("info");
    if (!info_value || info_value->type() != Type::kDictionary) {
        return invalid("no info dictionary");
    }
    Metainfo info;
    if (auto status = read_info(*info_value, info); !status) return status.error();
    info.info_hash = MetadataId(sha256(info_value->encoded()));
    return info;
}

}  // namespace kollator::crypto
