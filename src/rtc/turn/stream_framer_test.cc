#include "rtc/turn/stream_framer.h"

#include <gtest/gtest.h>

#include "rtc/stun/stun_message.h"

namespace kollator::rtc {
namespace {

const Bytes kChannelData{0x40, 1, 0, 5, 1, 2, 3, 4, 5};
const Bytes kPadded{0x40, 1, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0};

Bytes stun() {
    return StunBuilder(StunClass::kSuccess, kTurnRefresh, {7})
        .u32(StunAttribute::kLifetime, 600)
        .finish();
}

std::vector<Bytes> drain(StreamFramer& framer) {
    std::vector<Bytes> messages;
    for (auto next = framer.next(); next.ok() && *next; next = framer.next()) {
        messages.emplace_back((*next)->begin(), (*next)->end());
    }
    return messages;
}

TEST(StreamFramer, FindsMessagesHoweverTheyAreCut) {
    Bytes stream = stun();
    stream.insert(stream.end(), kPadded.begin(), kPadded.end());
    const Bytes last = stun();
    stream.insert(stream.end(), last.begin(), last.end());
    for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
        StreamFramer framer;
        framer.push(ByteSpan(stream).first(cut));
        std::vector<Bytes> messages = drain(framer);
        framer.push(ByteSpan(stream).subspan(cut));
        for (Bytes& message : drain(framer)) messages.push_back(std::move(message));
        EXPECT_EQ(messages, (std::vector<Bytes>{stun(), kChannelData, stun()})) << cut;
    }
}

TEST(StreamFramer, RefusesWhatIsNoSuchStream) {
    StreamFramer framer;
    framer.push(as_bytes("SSH-2.0-OpenSSH_9.2"));
    const auto next = framer.next();
    ASSERT_FALSE(next.ok());
    EXPECT_EQ(next.error().code, ErrorCode::kInvalid);
}

}  // namespace
}  // namespace kollator::rtc
