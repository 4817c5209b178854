#include "crypto/metainfo.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "crypto/bencode.h"
#include "crypto/hash.h"

namespace kollator::crypto {
namespace {

using testing::HasSubstr;

bool parses(std::string_view text) {
    return bencode::parse(as_bytes(text)).ok();
}

TEST(Bencode, TakesCanonicalValues) {
    for (const char* text :
         {"i0e", "i-1e", "i42e", "i9223372036854775807e", "i-9223372036854775808e", "0:", "3:abc",
          "le", "de", "li1ei2ee", "d0:i1e1:ai2e2:aai3ee", "d1:ald1:bi1eeee"}) {
        EXPECT_TRUE(parses(text)) << text;
    }
}

TEST(Bencode, RefusesEverySecondSpelling) {
    for (const char* text : {"",
                             "e",
                             "i",
                             "ie",
                             "i-e",
                             "i-0e",
                             "i00e",
                             "i01e",
                             "i1",
                             "i1x",
                             "i+1e",
                             "i 1e",
                             "i--1e",
                             "i9223372036854775808e",
                             "i-9223372036854775809e",
                             "i99999999999999999999999e",
                             ":",
                             "01:a",
                             "00:",
                             "2:a",
                             "-1:a",
                             "99999999999999999999:a",
                             "18446744073709551615:a",
                             "l",
                             "d",
                             "li1e",
                             "d1:ae",
                             "d1:a",
                             "di1ei2ee",
                             "d1:bi1e1:ai2ee",
                             "d1:ai1e1:ai2ee",
                             "dlei1ee",
                             "i1ei2e",
                             "i1e ",
                             "x",
                             "4",
                             "dee"}) {
        EXPECT_FALSE(parses(text)) << text;
    }
}

TEST(Bencode, SortsKeysAsRawBytes) {
    EXPECT_TRUE(parses("d1:Z0:1:a0:e"));
    EXPECT_TRUE(
        parses(std::string_view("d1:\x7f"
                                "0:1:\x80"
                                "0:e")));
    EXPECT_FALSE(
        parses(std::string_view("d1:\x80"
                                "0:1:\x7f"
                                "0:e")));
}

TEST(Bencode, BoundsDepthAndSize) {
    const std::string deep = std::string(32, 'l') + std::string(32, 'e');
    EXPECT_TRUE(parses(deep));
    EXPECT_FALSE(parses("l" + deep + "e"));
    EXPECT_FALSE(parses(std::string(1'000'000, 'l')));
    const auto over = bencode::parse(as_bytes("3:abc"), {.max_bytes = 4});
    ASSERT_FALSE(over.ok());
    EXPECT_EQ(over.error().code, ErrorCode::kLimit);
}

TEST(Bencode, GivesViewsOfTheInput) {
    const std::string text = "d1:ali1ei2ee1:bi-7e1:cd1:x3:abcee";
    const auto value = bencode::parse(as_bytes(text));
    ASSERT_TRUE(value.ok());
    EXPECT_EQ(as_text(value->find("a")->encoded()), "li1ei2ee");
    EXPECT_EQ(value->find("b")->integer(), -7);
    EXPECT_EQ(value->find("c")->find("x")->text(), "abc");
    EXPECT_FALSE(value->find("bb"));
    EXPECT_FALSE(value->find("z"));
    EXPECT_FALSE(value->find("b")->find("x"));
    EXPECT_FALSE(value->find("b")->string());
    EXPECT_FALSE(value->find("c")->integer());
    EXPECT_EQ(value->find("a")->type(), bencode::Type::kList);
    EXPECT_EQ(as_bytes(text).data(), value->encoded().data());
}

std::string string_of(std::string_view text) {
    return std::to_string(text.size()) + ":" + std::string(text);
}

struct Fields {
    std::string name = "4:name8:file.bin";
    std::string piece = "12:piece lengthi16384e";
    std::string version = "12:meta versioni2e";
    std::string tree;
    std::string size = "19:kollator-chunk-sizei100e";
    std::string hashes = "21:kollator-chunk-hashes" + string_of(std::string(96, 'h'));

    Fields() { tree = tree_of("250"); }

    static std::string tree_of(const std::string& length) {
        return "9:file treed8:file.bind0:d6:lengthi" + length + "e11:pieces root" +
               string_of(std::string(32, 'r')) + "eee";
    }
    std::string info() const { return "d" + tree + hashes + size + version + name + piece + "e"; }
    std::string document() const { return "d4:info" + info() + "12:piece layersdee"; }
};

Result<Metainfo> parse(const std::string& text) {
    return parse_metainfo(as_bytes(text));
}

TEST(Metainfo, ReadsAFileWithItsChunks) {
    const Fields fields;
    const std::string text = fields.document();
    const auto info = parse(text);
    ASSERT_TRUE(info.ok()) << info.error().detail;
    EXPECT_EQ(info->info_hash, MetadataId(sha256(as_bytes(fields.info()))));
    EXPECT_EQ(info->name, "file.bin");
    EXPECT_EQ(info->length_bytes, 250U);
    EXPECT_EQ(info->file_count, 1U);
    EXPECT_EQ(info->piece_length_bytes, 16384U);
    EXPECT_EQ(info->chunk_size_bytes, 100U);
    ASSERT_EQ(info->chunk_count(), 3U);
    EXPECT_EQ(info->chunk(2).bytes()[0], 'h');
}

TEST(Metainfo, TakesATorrentWithoutChunksAndWithSeveralFiles) {
    Fields fields;
    fields.size.clear();
    fields.hashes.clear();
    const std::string file =
        "d0:d6:lengthi5e11:pieces root" + string_of(std::string(32, 'r')) + "ee";
    fields.tree = "9:file treed1:a" + file + "1:bd1:c" + file + "1:dd0:d6:lengthi0eeeee";
    const auto info = parse(fields.document());
    ASSERT_TRUE(info.ok()) << info.error().detail;
    EXPECT_EQ(info->file_count, 3U);
    EXPECT_EQ(info->length_bytes, 10U);
    EXPECT_EQ(info->chunk_count(), 0U);
}

void expect_refused(const Fields& fields, const std::string& why) {
    const auto info = parse(fields.document());
    ASSERT_FALSE(info.ok()) << why;
    EXPECT_EQ(info.error().code, ErrorCode::kInvalid);
    EXPECT_THAT(info.error().detail, HasSubstr(why));
}

TEST(Metainfo, RefusesWhatIsNoVersion2) {
    Fields fields;
    fields.version = "12:meta versioni1e";
    expect_refused(fields, "meta version");
    fields.version.clear();
    expect_refused(fields, "meta version");
    EXPECT_FALSE(parse("d4:infoi1ee").ok());
    EXPECT_FALSE(parse("de").ok());
    EXPECT_FALSE(parse("i1e").ok());
}

TEST(Metainfo, RefusesWrongFields) {
    for (const char* piece : {"i0e", "i-16384e", "i16385e", "i8192e", "1:x", "i2147483648e"}) {
        Fields fields;
        fields.piece = std::string("12:piece length") + piece;
        expect_refused(fields, "piece length");
    }
    Fields fields;
    fields.name = "4:namei1e";
    expect_refused(fields, "name");
    fields = Fields();
    fields.tree.clear();
    expect_refused(fields, "no file tree");
    fields.tree = "9:file treede";
    expect_refused(fields, "without files");
    fields.tree = "9:file treed0:d6:lengthi0eee";
    expect_refused(fields, "without a name");
    fields.tree = "9:file treed1:ai1ee";
    expect_refused(fields, "no dictionary");
    fields.tree = "9:file treed1:ad0:d6:lengthi-1eeee";
    expect_refused(fields, "without a length");
    fields.tree = "9:file treed1:ad0:d6:lengthi5eeee";
    expect_refused(fields, "pieces root");
}

TEST(Metainfo, RefusesAChunkListThatContradictsTheFile) {
    Fields fields;
    fields.tree = Fields::tree_of("301");
    expect_refused(fields, "does not fit");
    fields.tree = Fields::tree_of("200");
    expect_refused(fields, "does not fit");
    fields.tree = Fields::tree_of("300");
    EXPECT_TRUE(parse(fields.document()).ok());
    fields.hashes = "21:kollator-chunk-hashes" + string_of(std::string(95, 'h'));
    expect_refused(fields, "32-byte");
    fields.hashes.clear();
    expect_refused(fields, "kollator-chunk-hashes");
    fields = Fields();
    for (const char* size : {"", "19:kollator-chunk-sizei0e", "19:kollator-chunk-sizei67108865e"}) {
        fields.size = size;
        expect_refused(fields, "kollator-chunk-size");
    }
}

TEST(Metainfo, RefusesFilesWhoseLengthsOverflow) {
    Fields fields;
    fields.size.clear();
    fields.hashes.clear();
    const std::string file =
        "d0:d6:lengthi9223372036854775807e11:pieces root" + string_of(std::string(32, 'r')) + "ee";
    fields.tree = "9:file treed1:a" + file + "1:b" + file + "e";
    expect_refused(fields, "63 bits");
}

TEST(Metainfo, RefusesEveryTruncation) {
    const std::string text = Fields().document();
    for (std::size_t length = 0; length < text.size(); ++length) {
        EXPECT_FALSE(parse(text.substr(0, length)).ok()) << length;
    }
}

TEST(Metainfo, SurvivesEveryChangedByte) {
    const std::string text = Fields().document();
    SeededRandom random(7);
    for (std::size_t at = 0; at < text.size(); ++at) {
        std::string changed = text;
        changed[at] = static_cast<char>(random.u32());
        (void)parse(changed);
    }
}

}  // namespace
}  // namespace kollator::crypto
