#include "protocol/deflate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "base/random.h"
#include "protocol/message.h"

namespace kollator::protocol {
namespace {

Bytes text(std::size_t size) {
    Bytes bytes;
    for (int line = 0; bytes.size() < size; ++line) {
        const std::string words = "line " + std::to_string(line * 7919) + " of a log file\n";
        bytes.insert(bytes.end(), words.begin(), words.end());
    }
    bytes.resize(size);
    return bytes;
}

Bytes noise(std::size_t size) {
    Bytes bytes(size);
    SeededRandom random(size);
    random.fill(bytes);
    return bytes;
}

TEST(DeflateTest, WhatIsPackedIsUnpackedToTheSame) {
    Deflater deflater;
    Inflater inflater;
    for (const std::size_t size : {1024UL, 8193UL, 65'536UL, 262'000UL}) {
        PackTrial trial;
        const Bytes head{1, 2, 3, 4, 5, 6, 7, 8};
        const Bytes data = text(size);
        const ByteSpan packed = deflater.pack(head, data, trial);
        ASSERT_FALSE(packed.empty()) << size;
        EXPECT_LE(packed.size(), (head.size() + size) * 9 / 10);
        const auto whole = inflater.unpack(packed, head.size() + size);
        ASSERT_TRUE(whole.ok()) << whole.error().detail;
        EXPECT_TRUE(std::ranges::equal(whole->first(8), head));
        EXPECT_TRUE(std::ranges::equal(whole->subspan(8), data));
    }
}

TEST(DeflateTest, LeavesAloneWhatDoesNotPay) {
    Deflater deflater;
    PackTrial trial;
    EXPECT_TRUE(deflater.pack({}, text(Deflater::kMinBytes - 1), trial).empty()) << "too short";
    EXPECT_EQ(trial.passes, 0U) << "says nothing about the rest";
    EXPECT_TRUE(deflater.pack({}, noise(65'536), trial).empty());
    EXPECT_EQ(trial.passes, Deflater::kPassesAfterFailure);
    // What follows is not even looked at, for a while.
    const Bytes good = text(65'536);
    for (unsigned i = 0; i < Deflater::kPassesAfterFailure; ++i) {
        EXPECT_TRUE(deflater.pack({}, good, trial).empty());
    }
    EXPECT_FALSE(deflater.pack({}, good, trial).empty());
    // A tenth is the measure: noise with a twelfth of zeros saves less.
    Bytes almost = noise(65'536);
    std::fill_n(almost.begin(), almost.size() / 12, std::uint8_t{0});
    trial = {};
    EXPECT_TRUE(deflater.pack({}, almost, trial).empty());
}

TEST(DeflateTest, NoBombGoesOverTheBound) {
    Deflater deflater;
    Inflater inflater;
    PackTrial trial;
    const Bytes zeros(kMaxMessageBytes, 0);
    const ByteSpan packed = deflater.pack({}, zeros, trial);
    ASSERT_FALSE(packed.empty());
    EXPECT_LT(packed.size(), 2000U);
    EXPECT_EQ(inflater.unpack(packed, zeros.size() - 1).error().code, ErrorCode::kLimit);
    EXPECT_TRUE(inflater.unpack(packed, zeros.size()).ok()) << "the bound is exact";
}

TEST(DeflateTest, RefusesWhatIsNoWholeStream) {
    Deflater deflater;
    Inflater inflater;
    PackTrial trial;
    const ByteSpan view = deflater.pack({}, text(2000), trial);
    Bytes packed(view.begin(), view.end());
    for (std::size_t cut = 0; cut < packed.size(); ++cut) {
        const auto result = inflater.unpack(ByteSpan(packed).first(cut), 4096);
        ASSERT_FALSE(result.ok()) << cut;
        EXPECT_EQ(result.error().code, ErrorCode::kInvalid) << cut;
    }
    packed.push_back(0);
    EXPECT_EQ(inflater.unpack(packed, 4096).error().code, ErrorCode::kInvalid) << "a byte after it";
    EXPECT_EQ(inflater.unpack(noise(500), 4096).error().code, ErrorCode::kInvalid);
}

}  // namespace
}  // namespace kollator::protocol
