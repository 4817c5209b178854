// Packets of a peer into an association of ours, once before and once after the handshake. The
// input is a row of: flags (1 byte), length (2 bytes), a packet's bytes. What must hold: no crash,
// memory within the window, an association that ended stays ended, and one that was polled wants no
// more of it.
#include <algorithm>
#include <chrono>
#include <cstdint>

#include "base/check.h"
#include "base/random.h"
#include "rtc/sctp/packet/init_chunk.h"
#include "rtc/sctp/packet/packet_builder.h"
#include "rtc/sctp/sctp_association.h"

namespace kollator::rtc {
namespace {

constexpr std::uint8_t kPassTime = 1;
constexpr std::uint8_t kSend = 2;
constexpr std::uint8_t kReset = 4;
constexpr std::uint8_t kNoPoll = 8;
constexpr std::uint8_t kUnread = 128;

/// What the least receive budget (1 MiB) lets an association hold, and a packet more.
constexpr std::size_t kMostUnreadBytes = 1024 * 1024 * 5 / 4 + 4 * 65536;

class FuzzPeer final : public SctpObserver {
 public:
    explicit FuzzPeer(bool connected)
        : stack_(make_sctp_stack(random_, {.receive_budget_bytes = 0})) {
        association_ = stack_->make({}, *this);
        association_->connect(now_);
        if (connected) shake_hands();
    }

    void on_sctp_packet(ByteSpan packet) override {
        last_.assign(packet.begin(), packet.end());
        KOLLATOR_CHECK(packet.size() <= SctpOptions().mtu_bytes);
    }
    void on_sctp_connected() override { connected_ = true; }
    void on_sctp_message(std::uint16_t stream, std::uint32_t, ByteSpan message) override {
        KOLLATOR_CHECK(!closed_ && connected_ && !message.empty());
        KOLLATOR_CHECK(message.size() <= SctpOptions().max_message_bytes && stream < 256);
    }
    void on_sctp_stream_reset(std::uint16_t stream) override { KOLLATOR_CHECK(stream < 256); }
    void on_sctp_stream_reset_done(std::uint16_t) override { KOLLATOR_CHECK(!closed_); }
    void on_sctp_writable() override { KOLLATOR_CHECK(!closed_); }
    void on_sctp_closed(const std::string& reason) override {
        KOLLATOR_CHECK(!closed_ && !reason.empty());
        closed_ = true;
    }

    void run(ByteSpan input) {
        ByteReader reader(input);
        while (reader.remaining() >= 3) {
            const std::uint8_t flags = reader.u8();
            const std::size_t size = std::min<std::size_t>(reader.u16(), reader.remaining());
            step(flags, reader.bytes(size));
        }
    }

 private:
    void step(std::uint8_t flags, ByteSpan body) {
        if ((flags & kSend) != 0) {
            SctpSendOptions options;
            options.stream = flags >> 4;
            options.ordered = (flags & 16) != 0;
            if ((flags & 32) != 0) options.max_retransmits = 0;
            static_cast<void>(association_->send(options, body, as_bytes("x")).ok());
        }
        association_->set_reading((flags & kUnread) == 0);
        if ((flags & kReset) != 0) association_->reset_stream(flags >> 4);
        if ((flags & kPassTime) != 0) {
            now_ = std::max(now_,
                            std::min(stack_->next_timeout(now_), now_ + std::chrono::seconds(40)));
            stack_->handle_timers(now_);
        }
        // The header is given: ports and tags are soon known to who fuzzes.
        Bytes packet(12);
        store_u16(packet.data(), 5000);
        store_u16(packet.data() + 2, 5000);
        const bool init = !body.empty() && body[0] == 1;
        store_u32(packet.data() + 4, init ? 0 : tag_);
        packet.insert(packet.end(), body.begin(), body.end());
        association_->handle_packet(packet, now_);
        if ((flags & kNoPoll) == 0) poll();
        KOLLATOR_CHECK(stack_->stats().buffered_bytes == association_->buffered_bytes());
        KOLLATOR_CHECK(stack_->stats().unread_bytes <= kMostUnreadBytes);
    }

    /// As an endpoint does: for as long as there is something to do, which must end.
    void poll() {
        constexpr int kMostTurns = 100;
        for (int turn = 0; turn < kMostTurns; ++turn) {
            association_->poll(now_);
            if (!association_->wants_poll()) return;
        }
        KOLLATOR_CHECK(!association_->wants_poll());
    }

    void shake_hands() {
        sctp::InitChunk init;
        init.tag = 1;
        init.window_bytes = 100'000;
        init.outgoing_streams = init.incoming_streams = 256;
        init.forward_tsn = init.reconfig = true;
        give(0, sctp::chunk_type::kInit, sctp::build_init(init));
        const auto answer = sctp::parse_init(ByteSpan(last_).subspan(16));
        KOLLATOR_CHECK(answer.ok());
        tag_ = answer->tag;
        give(tag_, sctp::chunk_type::kCookieEcho, answer->cookie);
        KOLLATOR_CHECK(connected_);
    }
    void give(std::uint32_t tag, std::uint8_t type, ByteSpan value) {
        sctp::PacketBuilder packet(1160);
        packet.begin({5000, 5000, tag});
        packet.add(type, 0, value);
        association_->handle_packet(packet.finish(sctp::Checksum::kZero), now_);
        association_->poll(now_);
    }

    SeededRandom random_{1};
    TimePoint now_{std::chrono::hours(1)};
    std::unique_ptr<SctpStack> stack_;
    std::unique_ptr<SctpAssociation> association_;
    std::uint32_t tag_ = 0;
    Bytes last_;
    bool connected_ = false;
    bool closed_ = false;
};

}  // namespace
}  // namespace kollator::rtc

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    for (const bool connected : {false, true}) {
        kollator::rtc::FuzzPeer(connected).run({data, size});
    }
    return 0;
}
