#include "store/object_store.h"

#include <gtest/gtest.h>

namespace kollator::store {
namespace {

TEST(ObjectKey, HasOnePathForEachKind) {
    const std::string hex(64, 'a');
    EXPECT_EQ(ObjectKey(*ChunkId::from_hex(hex)).path(), "chunks/" + hex);
    EXPECT_EQ(ObjectKey(*MetadataId::from_hex(hex)).path(), "torrents/" + hex);
    EXPECT_NE(ObjectKey(*ChunkId::from_hex(hex)), ObjectKey(*MetadataId::from_hex(hex)));
}

}  // namespace
}  // namespace kollator::store
