#include "chunk/chunk_lists.h"

#include <string>

#include "tests/support/chunk_service_fixture.h"

namespace kollator::chunk {
namespace {

std::string string_of(const std::string& text) {
    return std::to_string(text.size()) + ":" + text;
}

/// A file of three chunks, of 100 bytes each.
std::string info_text() {
    return "d9:file treed8:file.bind0:d6:lengthi300e11:pieces root" +
           string_of(std::string(32, 'r')) + "eee" + "21:kollator-chunk-hashes" +
           string_of(std::string(32, 'a') + std::string(32, 'b') + std::string(32, 'c')) +
           "19:kollator-chunk-sizei100e12:meta versioni2e4:name8:file.bin12:piece lengthi16384ee";
}

class ChunkListsTest : public ServiceTest {
 protected:
    const std::string text_ = "d4:info" + info_text() + "12:piece layersdee";
    const MetadataId id_{crypto::sha256(as_bytes(info_text()))};

    bool wait_foreseeable(std::uint64_t chunks) {
        return wait([&] { return cache_->stats().foreseeable == chunks; });
    }
};

TEST_F(ChunkListsTest, TheCacheLearnsAFileWhenItsMetadataIsStored) {
    EXPECT_EQ(cache_->stats().foreseeable, 0U);
    bool stored = false;
    service_->store(id_, buffer_of(Bytes(text_.begin(), text_.end())),
                    [&](const auto& outcome) { stored = outcome.ok(); });
    ASSERT_TRUE(wait([&] { return stored; }));
    EXPECT_TRUE(wait_foreseeable(3));
}

TEST_F(ChunkListsTest, TheCacheLearnsAFileWhenSomebodyAsksForItsMetadata) {
    store_.objects[store::ObjectKey(id_)] = Bytes(text_.begin(), text_.end());
    auto reader = service_->open(id_, 0, 0, [] {});
    (void)reader->next(100'000);
    EXPECT_TRUE(wait_foreseeable(3));

    // And again after a restart, when the metadata is at hand already.
    reader.reset();
    restart();
    EXPECT_EQ(cache_->stats().foreseeable, 0U);
    reader = service_->open(id_, 0, 0, [] {});
    EXPECT_TRUE(wait_foreseeable(3));
}

}  // namespace
}  // namespace kollator::chunk
