#include "rtc/message_block.h"

#include <gtest/gtest.h>

#include <string>

namespace kollator::rtc {
namespace {

std::string copied(const MessageBlock& block, std::size_t offset, std::size_t size) {
    std::string out(size, '?');
    block.copy(offset, {reinterpret_cast<std::uint8_t*>(out.data()), size});
    return out;
}

BufferSlice slice_of(std::string_view text) {
    auto buffer = std::make_shared<Buffer>(text.size());
    std::copy(text.begin(), text.end(), buffer->data());
    return {buffer, std::as_const(*buffer).span()};
}

TEST(MessageBlock, IsAHeadAndASharedBody) {
    BufferSlice body = slice_of("of the body");
    const std::weak_ptr<const Buffer> alive = body.owner;
    MessageBlock block(as_bytes("head "), std::move(body));
    MessageBlock taken = std::move(block);
    const std::string whole = "head of the body";
    ASSERT_EQ(taken.size_bytes(), whole.size());
    for (std::size_t offset = 0; offset <= whole.size(); ++offset) {
        for (std::size_t size = 0; size <= whole.size() - offset; ++size) {
            EXPECT_EQ(copied(taken, offset, size), whole.substr(offset, size));
        }
    }
    EXPECT_FALSE(alive.expired());
    taken = {};
    EXPECT_TRUE(alive.expired());
}

TEST(MessageBlock, OfCopiesIsOneBody) {
    std::string head = "he";
    std::string body = "llo";
    const MessageBlock block = make_message_block(as_bytes(head), as_bytes(body));
    head = body = "changed";
    EXPECT_EQ(copied(block, 0, 5), "hello");
    EXPECT_EQ(block.body().size(), 5U);
    EXPECT_EQ(make_message_block({}, {}).size_bytes(), 0U);
}

}  // namespace
}  // namespace kollator::rtc
