#include "crypto/metainfo_builder.h"

#include <gtest/gtest.h>

#include "crypto/bencode.h"
#include "crypto/metainfo.h"

namespace kollator::crypto {
namespace {

constexpr std::uint32_t kChunkBytes = 5 * 1024 * 1024;

/// The same bytes as in client/src/torrent/metainfo.test.ts.
Bytes sample(std::size_t size) {
    Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i) {
        bytes[i] = static_cast<std::uint8_t>((i * 7 + (i >> 8) * 3 + (i >> 16)) & 0xff);
    }
    return bytes;
}

BuiltMetainfo metainfo_of(const Bytes& bytes, const std::string& name = "file.bin",
                          std::uint32_t chunk_size = kChunkBytes) {
    SharedFile file{name, bytes.size(), chunk_size, {}, {}};
    const std::uint32_t unit = merkle_unit_bytes(chunk_size, bytes.size());
    for (std::size_t offset = 0; offset < bytes.size(); offset += chunk_size) {
        const ByteSpan chunk = ByteSpan(bytes).subspan(
            offset, std::min<std::size_t>(chunk_size, bytes.size() - offset));
        file.chunks.emplace_back(sha256(chunk));
        const auto roots = merkle_unit_roots(chunk, unit);
        file.unit_roots.insert(file.unit_roots.end(), roots.begin(), roots.end());
    }
    return build_metainfo(file);
}

struct Known {
    std::size_t size;
    std::int64_t piece_bytes;
    const char* root;
    std::size_t pieces;
    const char* layer_sha256;
};

/// What libtorrent 2.0.8 makes of the same bytes with the same piece length; the page's own code is
/// held to the same (client/src/torrent/metainfo.test.ts).
constexpr Known kOfLibtorrent[] = {
    {1, 16384, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d", 0, ""},
    {16384, 16384, "ea2a07f21f00a3ebb1f7f8c90e17d4d122aa127fc675cf4ce1949195d1e9995d", 0, ""},
    {16385, 32768, "1a756ba8cc3fb4db13e9be7a71230ab4835a1de9fb17a57ed69b4a8e38ed4c73", 0, ""},
    {20000, 32768, "d293be946017ad9cd4fc9c1a737f93543484b795f7c272b41ee6995e9e521e03", 0, ""},
    {1048576, 1048576, "58ba1036b6bb40272304828ae83d52b07a3ac98bcfe0b7433efa24fe609e4467", 0, ""},
    {1048577, 1048576, "7a05187b36a97ae36e6531d1cbf2f6f27ab04b498dd69d038b793ccba727f79c", 2,
     "7a05187b36a97ae36e6531d1cbf2f6f27ab04b498dd69d038b793ccba727f79c"},
    {5242885, 1048576, "c51110338911456b8ab94690bbdea93303438353a5420c1e3b8d62b343d76bc4", 6,
     "72244e1f0f6c241b07dc7d7d318d9f9e78ff75485a484805c318a1a05ed8d6f0"},
    {12582909, 1048576, "fe6ebcfc6e4385da933c615d356ee4922d842e0b207b1cee576afd5e0ba87cd2", 12,
     "913ed7aac56480effdd24f210ea757db6495428a68480e66a417c6eca05aa7ae"},
};

TEST(MetainfoBuilderTest, TheMerkleTreeIsTheOneLibtorrentBuilds) {
    for (const Known& known : kOfLibtorrent) {
        const Bytes bytes = metainfo_of(sample(known.size)).bytes;
        const auto document = bencode::parse(bytes);
        ASSERT_TRUE(document.ok()) << document.error().detail;
        const auto info = *document->find("info");
        const auto file = info.find("file tree")->find("file.bin")->find("");
        EXPECT_EQ(to_hex(*file->find("pieces root")->string()), known.root) << known.size;
        EXPECT_EQ(info.find("piece length")->integer(), known.piece_bytes) << known.size;
        std::size_t layers = 0;
        document->find("piece layers")->for_each_entry([&](auto, const bencode::Value& layer) {
            ++layers;
            EXPECT_EQ(layer.string()->size(), 32 * known.pieces) << known.size;
            EXPECT_EQ(to_hex(sha256(*layer.string())), known.layer_sha256) << known.size;
            return true;
        });
        EXPECT_EQ(layers, known.pieces > 0 ? 1U : 0U) << known.size;
    }
}

TEST(MetainfoBuilderTest, WhatIsBuiltIsUnderstoodUnderItsName) {
    for (const std::size_t size : {0UL, 7UL, 100'000UL, 6'000'000UL}) {
        const Bytes bytes = sample(size);
        const BuiltMetainfo built = metainfo_of(bytes, "größe 😀.txt");
        const auto metainfo = parse_metainfo(built.bytes);
        ASSERT_TRUE(metainfo.ok()) << metainfo.error().detail;
        EXPECT_EQ(metainfo->info_hash, built.info_hash);
        EXPECT_EQ(metainfo->name, "größe 😀.txt");
        EXPECT_EQ(metainfo->length_bytes, size);
        EXPECT_EQ(metainfo->chunk_size_bytes, kChunkBytes);
        EXPECT_EQ(metainfo->chunk_count(), (size + kChunkBytes - 1) / kChunkBytes);
        if (size > 0) {
            const std::size_t first = std::min<std::size_t>(size, kChunkBytes);
            EXPECT_EQ(metainfo->chunk(0), ChunkId(sha256(ByteSpan(bytes).first(first))));
        }
    }
}

TEST(MetainfoBuilderTest, UnitsNeverLieInTwoChunks) {
    for (const std::uint32_t chunk : {kLeafBytes, 3 * kLeafBytes, 1U << 20, kChunkBytes}) {
        for (const std::uint64_t size : {1UL, 100'000UL, 1UL << 33}) {
            const std::uint32_t unit = merkle_unit_bytes(chunk, size);
            EXPECT_EQ(chunk % unit, 0U);
            EXPECT_LE(unit, 1U << 20);
        }
    }
    // Another size of chunks gives the same tree of the same file.
    const Bytes bytes = sample(3'000'000);
    const auto root = [&](std::uint32_t chunk) {
        const Bytes built = metainfo_of(bytes, "f", chunk).bytes;
        return to_hex(*bencode::parse(built)
                           ->find("info")
                           ->find("file tree")
                           ->find("f")
                           ->find("")
                           ->find("pieces root")
                           ->string());
    };
    EXPECT_EQ(root(kChunkBytes), root(1U << 20));
}

}  // namespace
}  // namespace kollator::crypto
