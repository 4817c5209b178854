#include "crypto/metainfo_builder.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace kollator::crypto {
namespace {

constexpr std::uint32_t kMaxUnitBytes = 1024 * 1024;
/// A longer piece layer would make the metadata of huge files large without need.
constexpr std::uint64_t kMaxPieces = 16 * 1024;

Sha256Digest join(const Sha256Digest& left, const Sha256Digest& right) {
    std::array<std::uint8_t, 64> both{};
    std::copy(left.begin(), left.end(), both.begin());
    std::copy(right.begin(), right.end(), both.begin() + 32);
    return sha256(both);
}

/// The root of a sub-tree of 2^level leaves that lie wholly past the end of the file. BEP 52: a
/// missing leaf is 32 zero bytes.
Sha256Digest padding_node(unsigned level) {
    Sha256Digest node{};
    for (unsigned i = 0; i < level; ++i) node = join(node, node);
    return node;
}

/// Joins each `width` (a power of two) nodes of `level` into one.
std::vector<Sha256Digest> reduce(std::vector<Sha256Digest> layer, std::uint64_t width,
                                 unsigned level) {
    Sha256Digest padding = padding_node(level);
    for (std::uint64_t joined = 1; joined < width; joined *= 2) {
        std::vector<Sha256Digest> next;
        for (std::size_t i = 0; i < layer.size(); i += 2) {
            next.push_back(join(layer[i], i + 1 < layer.size() ? layer[i + 1] : padding));
        }
        layer = std::move(next);
        padding = join(padding, padding);
    }
    return layer;
}

Sha256Digest root_of(const std::vector<Sha256Digest>& nodes, unsigned level) {
    return reduce(nodes, std::bit_ceil(nodes.size()), level).front();
}

unsigned level_of(std::uint64_t bytes) {
    return static_cast<unsigned>(std::bit_width(bytes / kLeafBytes) - 1);
}

/// BEP 52: "a power of two and at least 16KiB"; here also no smaller than a unit.
std::uint64_t piece_length(std::uint64_t file_bytes, std::uint32_t unit_bytes) {
    std::uint64_t length = std::max(unit_bytes, kLeafBytes);
    while (file_bytes > length * kMaxPieces) length *= 2;
    return length;
}

/// Bencoding (BEP 3); the caller keeps keys in order.
class Encoder {
 public:
    void raw(std::string_view text) { out_.insert(out_.end(), text.begin(), text.end()); }
    void string(ByteSpan bytes) {
        raw(std::to_string(bytes.size()) + ":");
        out_.insert(out_.end(), bytes.begin(), bytes.end());
    }
    void string(std::string_view text) { string(as_bytes(text)); }
    void integer(std::uint64_t value) { raw("i" + std::to_string(value) + "e"); }
    const Bytes& bytes() const { return out_; }

 private:
    Bytes out_;
};

Bytes joined(const std::vector<Sha256Digest>& digests) {
    Bytes bytes;
    for (const Sha256Digest& digest : digests) {
        bytes.insert(bytes.end(), digest.begin(), digest.end());
    }
    return bytes;
}

struct FileTree {
    Sha256Digest root{};
    std::vector<Sha256Digest> piece_layer;  // empty where the file is not larger than a piece
};

FileTree tree_of(const SharedFile& file, std::uint32_t unit_bytes, std::uint64_t piece_bytes) {
    if (file.length_bytes <= unit_bytes) return {file.unit_roots.front(), {}};
    if (file.length_bytes <= piece_bytes) {
        return {root_of(file.unit_roots, level_of(unit_bytes)), {}};
    }
    FileTree tree;
    tree.piece_layer = reduce(file.unit_roots, piece_bytes / unit_bytes, level_of(unit_bytes));
    tree.root = root_of(tree.piece_layer, level_of(piece_bytes));
    return tree;
}

Bytes encode_info(const SharedFile& file, const FileTree& tree, std::uint64_t piece_bytes) {
    Bytes hashes;
    for (const ChunkId& id : file.chunks) {
        hashes.insert(hashes.end(), id.bytes().begin(), id.bytes().end());
    }
    Encoder info;
    info.raw("d");
    info.string("file tree");
    info.raw("d");
    info.string(file.name);
    info.raw("d0:d");
    info.string("length");
    info.integer(file.length_bytes);
    if (file.length_bytes > 0) {
        info.string("pieces root");
        info.string(ByteSpan(tree.root));
    }
    info.raw("eee");
    info.string("kollator-chunk-hashes");
    info.string(ByteSpan(hashes));
    info.string("kollator-chunk-size");
    info.integer(file.chunk_size_bytes);
    info.string("meta version");
    info.integer(2);
    info.string("name");
    info.string(file.name);
    info.string("piece length");
    info.integer(piece_bytes);
    info.raw("e");
    return info.bytes();
}

}  // namespace

std::uint32_t merkle_unit_bytes(std::uint32_t chunk_size_bytes, std::uint64_t file_bytes) {
    std::uint32_t unit = kLeafBytes;
    while (unit < kMaxUnitBytes && unit < file_bytes && chunk_size_bytes % (2 * unit) == 0) {
        unit *= 2;
    }
    return unit;
}

std::vector<Sha256Digest> merkle_unit_roots(ByteSpan chunk, std::uint32_t unit_bytes) {
    std::vector<Sha256Digest> leaves;
    for (std::size_t offset = 0; offset < chunk.size(); offset += kLeafBytes) {
        leaves.push_back(sha256(
            chunk.subspan(offset, std::min<std::size_t>(kLeafBytes, chunk.size() - offset))));
    }
    return reduce(std::move(leaves), unit_bytes / kLeafBytes, 0);
}

BuiltMetainfo build_metainfo(const SharedFile& file) {
    const std::uint32_t unit = merkle_unit_bytes(file.chunk_size_bytes, file.length_bytes);
    const std::uint64_t piece = piece_length(file.length_bytes, unit);
    FileTree tree;
    if (file.length_bytes > 0) {
        KOLLATOR_CHECK(!file.unit_roots.empty());
        tree = tree_of(file, unit, piece);
    }
    const Bytes info = encode_info(file, tree, piece);
    Encoder whole;
    whole.raw("d");
    whole.string("info");
    whole.raw(as_text(info));
    whole.string("piece layers");
    whole.raw("d");
    if (!tree.piece_layer.empty()) {
        whole.string(ByteSpan(tree.root));
        whole.string(ByteSpan(joined(tree.piece_layer)));
    }
    whole.raw("ee");
    return {MetadataId(sha256(info)), whole.bytes()};
}

}  // namespace kollator::crypto
