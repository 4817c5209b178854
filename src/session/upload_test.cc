#include "session/upload.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/random.h"
#include "session/refused_uploads.h"

namespace kollator::session {
namespace {

using std::chrono::seconds;

Upload make_upload(std::size_t size) {
    return Upload(std::make_shared<Buffer>(size));
}

TEST(Upload, ComesTogetherInAnyOrder) {
    SeededRandom random(20261122);
    constexpr std::size_t kPieces = 50;
    Bytes whole(kPieces * 7);
    random.fill(whole);
    for (int round = 0; round < 200; ++round) {
        std::vector<std::size_t> order(kPieces);
        std::iota(order.begin(), order.end(), 0U);
        for (std::size_t i = kPieces - 1; i > 0; --i)
            std::swap(order[i], order[random.u32() % (i + 1)]);
        Upload upload = make_upload(whole.size());
        for (const std::size_t piece : order) {
            ASSERT_FALSE(upload.complete());
            const auto offset = static_cast<std::uint32_t>(piece * 7);
            ASSERT_TRUE(upload.add(offset, ByteSpan(whole).subspan(offset, 7), piece == 49).ok());
        }
        ASSERT_TRUE(upload.complete());
        const SharedBuffer bytes = upload.take();
        ASSERT_TRUE(std::equal(whole.begin(), whole.end(), bytes->data()));
    }
}

TEST(Upload, RefusesEveryOverlap) {
    const Bytes data(10);
    // [20, 30) is there. What touches it is refused, what only adjoins is not.
    for (std::uint32_t offset = 0; offset <= 50; ++offset) {
        Upload upload = make_upload(60);
        ASSERT_TRUE(upload.add(20, data, false).ok());
        const bool apart = offset <= 10 || offset >= 30;
        EXPECT_EQ(upload.add(offset, data, false).ok(), apart) << offset;
    }
}

TEST(Upload, RefusesASecondLastFragment) {
    Upload upload = make_upload(30);
    const Bytes data(10);
    EXPECT_TRUE(upload.add(20, data, true).ok());
    EXPECT_TRUE(upload.last_seen());
    EXPECT_FALSE(upload.add(0, data, true).ok());
}

TEST(Upload, RefusesMoreGapsThanItKeepsAccountOf) {
    Upload upload = make_upload(5 * 1024 * 1024);
    const Bytes byte(1);
    std::uint32_t taken = 0;
    while (taken < 10'000 && upload.add(2 * taken, byte, false).ok()) ++taken;
    EXPECT_EQ(taken, kMaxUploadGaps);
}

TEST(RefusedUploads, SwallowTheRestAndThenForget) {
    RefusedUploads refused(10, seconds(30));
    const RequestKey key{ChannelHandle{1}, protocol::RequestId{7}};
    const RefusedUploads::Name name{1};
    const TimePoint now(seconds(100));
    refused.add(key, {name, 100, 60}, now);
    EXPECT_TRUE(refused.swallow(key, {name, 100, 40, false}));
    EXPECT_FALSE(refused.swallow({ChannelHandle{2}, key.id}, {name, 100, 40, false}));
    EXPECT_TRUE(refused.swallow(key, {name, 100, 20, false}));
    EXPECT_FALSE(refused.swallow(key, {name, 100, 20, false})) << "all 60 bytes had come";

    refused.add(key, {name, 100, 60}, now);
    EXPECT_TRUE(refused.swallow(key, {name, 100, 1, true})) << "the last one";
    EXPECT_EQ(refused.size(), 0U);

    refused.add(key, {name, 100, 60}, now);
    EXPECT_FALSE(refused.swallow(key, {RefusedUploads::Name{2}, 100, 1, false}));
    EXPECT_EQ(refused.size(), 0U) << "the id has another use now";

    refused.add(key, {name, 100, 60}, now);
    refused.expire(now + seconds(29));
    EXPECT_EQ(refused.size(), 1U);
    refused.expire(now + seconds(30));
    EXPECT_EQ(refused.size(), 0U);
}

TEST(RefusedUploads, AreBounded) {
    RefusedUploads refused(3, seconds(30));
    for (std::uint32_t i = 0; i < 10; ++i) {
        refused.add({ChannelHandle{1}, protocol::RequestId{i}}, {}, TimePoint(seconds(100 + i)));
    }
    EXPECT_EQ(refused.size(), 3U);
    EXPECT_TRUE(refused.swallow({ChannelHandle{1}, protocol::RequestId{9}}, {}));
    EXPECT_FALSE(refused.swallow({ChannelHandle{1}, protocol::RequestId{6}}, {}));
    refused.forget_channel(ChannelHandle{1});
    EXPECT_EQ(refused.size(), 0U);
}

}  // namespace
}  // namespace kollator::session
