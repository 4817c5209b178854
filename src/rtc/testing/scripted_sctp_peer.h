#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "rtc/sctp/packet/init_chunk.h"
#include "rtc/sctp/packet/packet_builder.h"
#include "rtc/testing/sctp_pair.h"

namespace kollator::rtc::testing {

/// An association of ours that is connected with a peer made of single chunks.
class ScriptedSctpPeer : public SctpEnd {
 public:
    /// The association's stack outlives this.
    void connect_to(SctpStack& its_stack) {
        on_packet = [this](ByteSpan bytes) { sent.emplace_back(bytes.begin(), bytes.end()); };
        association = its_stack.make(options, *this);
        sctp::InitChunk init;
        init.tag = kPeerTag;
        init.window_bytes = 100'000;
        init.outgoing_streams = init.incoming_streams = 65535;
        init.tsn = kFirstTsn;
        init.forward_tsn = init.reconfig = true;
        association->connect(now);
        give(0, sctp::chunk_type::kInit, sctp::build_init(init));
        const auto answer = find(sctp::chunk_type::kInitAck);
        ASSERT_FALSE(answer.empty());
        const auto read = sctp::parse_init(answer);
        ASSERT_TRUE(read.ok());
        local_tag = read->tag;
        give(local_tag, sctp::chunk_type::kCookieEcho, read->cookie);
        ASSERT_TRUE(connected);
        sent.clear();
    }
    void give(std::uint32_t tag, std::uint8_t type, ByteSpan value, std::uint8_t flags = 0) {
        give(tag, {{type, flags, value}});
    }
    void give(std::uint8_t type, ByteSpan value, std::uint8_t flags = 0) {
        give(local_tag, type, value, flags);
    }
    /// All in one packet, as large as a DTLS record can be.
    void give(std::uint32_t tag, const std::vector<sctp::Chunk>& chunks) {
        sctp::PacketBuilder packet(16'384);
        packet.begin({5000, 5000, tag});
        for (const sctp::Chunk& chunk : chunks) {
            std::copy(chunk.value.begin(), chunk.value.end(),
                      packet.add(chunk.type, chunk.flags, chunk.value.size()).begin());
        }
        association->handle_packet(packet.finish(sctp::Checksum::kCrc32c), now);
        association->poll(now);
    }
    /// The value of the first chunk of that type that was sent.
    Bytes find(std::uint8_t type) const {
        for (const Bytes& packet : sent) {
            ByteSpan rest = packet;
            sctp::take_common_header(rest);
            while (const auto chunk = sctp::take_chunk(rest)) {
                if (chunk->type != type) continue;
                Bytes value(chunk->value.begin(), chunk->value.end());
                if (value.empty()) value.push_back(0);
                return value;
            }
        }
        return {};
    }
    static Bytes data(std::uint32_t tsn, std::uint16_t stream, std::uint16_t ssn,
                      std::string_view text) {
        Bytes value(12);
        store_u32(value.data(), tsn);
        store_u16(value.data() + 4, stream);
        store_u16(value.data() + 6, ssn);
        value.insert(value.end(), text.begin(), text.end());
        return value;
    }

    static constexpr std::uint32_t kPeerTag = 0xabcdef;
    static constexpr std::uint32_t kFirstTsn = 1000;
    TimePoint now{std::chrono::hours(1)};
    std::uint32_t local_tag = 0;
    std::vector<Bytes> sent;
};

}  // namespace kollator::rtc::testing
