#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rtc/sctp/association/state_cookie.h"
#include "rtc/sctp/association/stream_resets.h"
#include "rtc/sctp/own_stack.h"
#include "rtc/sctp/packet/init_chunk.h"
#include "rtc/sctp/rx/receiver.h"
#include "rtc/sctp/tx/sender.h"

namespace kollator::rtc {

/// SCTP as WebRTC uses it (RFC 9260, 3758, 6525, 9653 within RFC 8261 and 8831): one path, no
/// addresses, DTLS below.
///
///     kNew --connect--> kCookieWait --INIT ACK--> kCookieEchoed --COOKIE ACK--> kConnected
///                            |                         |                          ^ |
///                            +------ COOKIE ECHO ------+--------------------------+ |
///     ABORT, SHUTDOWN, no answer, abort(), a peer's violation: --> kClosed <--------+
///
/// Both sides connect at once, so an INIT in kCookieWait is the rule (RFC 9260 5.2.1).
///
/// handle_packet() takes in; poll() then gives to the observer and sends, so that a batch of
/// packets is answered together. Files: own_association.cc (owner's side, timers, output),
/// own_handshake.cc, own_input.cc, own_memory.cc.
class OwnAssociation final : public SctpAssociation {
 public:
    OwnAssociation(OwnSctpStack& stack, const SctpOptions& options, SctpObserver& observer);
    ~OwnAssociation() override;
    OwnAssociation(const OwnAssociation&) = delete;
    OwnAssociation& operator=(const OwnAssociation&) = delete;

    void connect(TimePoint now) override;
    void handle_packet(ByteSpan packet, TimePoint now) override;
    void on_new_path(TimePoint now) override;
    void poll(TimePoint now) override;
    bool wants_poll() const override;
    void set_reading(bool on) override;
    Status send(const SctpSendOptions& options, ByteSpan head, ByteSpan body) override;
    Status give(const SctpSendOptions& options, MessageBlock& message) override;
    std::size_t buffered_bytes() const override;
    std::size_t writable_bytes() const override;
    std::uint16_t outgoing_streams() const override { return outgoing_streams_; }
    bool zero_checksum() const override { return checksum_free_; }
    void reset_stream(std::uint16_t stream) override;
    void abort() override;

    /// For the stack.
    void handle_timeout(TimePoint now);
    void resume();
    std::size_t unread_bytes() const { return unread_bytes_; }
    /// Ends the association, unless it has, and drops what nobody read. False: nothing to drop.
    bool give_up_unread();

 private:
    enum class State : std::uint8_t { kNew, kCookieWait, kCookieEchoed, kConnected, kClosed };
    enum class EventKind : std::uint8_t { kConnected, kMessage, kReset, kResetDone, kClosed };
    struct Event {
        EventKind kind;
        sctp::ReceivedMessage message;  ///< kMessage: all of it; kReset, kResetDone: its stream
    };
    /// What an event costs beside its bytes, with a vector that grows and an allocation.
    static constexpr std::size_t kEventBytes = 2 * sizeof(Event) + 32;
    struct Control {
        std::uint8_t type;
        Bytes value;
    };

    // own_handshake.cc
    void draw_tags();
    sctp::InitChunk own_init(bool zero_checksum) const;
    void send_init();
    void send_cookie_echo();
    void handle_init(const sctp::Chunk& chunk);
    void handle_init_ack(const sctp::Chunk& chunk, TimePoint now);
    void handle_cookie_echo(const sctp::Chunk& chunk, TimePoint now);
    void establish(const sctp::InitChunk& peer, TimePoint now);
    void handle_handshake_timeout(TimePoint now);
    void start_handshake_timer(TimePoint now);

    // own_input.cc
    bool accepts_tag(const sctp::CommonHeader& header, const sctp::Chunk& first) const;
    /// False: nothing more of the packet is to be read.
    bool handle_chunk(const sctp::Chunk& chunk, TimePoint now);
    bool handle_connected_chunk(const sctp::Chunk& chunk, TimePoint now);
    bool handle_unknown_chunk(const sctp::Chunk& chunk);
    void handle_abort(const sctp::Chunk& chunk);
    void handle_data(const sctp::Chunk& chunk);
    void handle_sack(ByteSpan value, TimePoint now);
    void handle_forward_tsn(const sctp::Chunk& chunk);
    void handle_reconfig(const sctp::Chunk& chunk, TimePoint now);
    void take(const sctp::OutgoingResetRequest& request, Bytes& answers);
    void take(const sctp::IncomingResetRequest& request, Bytes& answers);
    void take(const sctp::OtherReconfigRequest& request, Bytes& answers);
    void finish_resets(sctp::IncomingResets::Verdict verdict, Bytes& answers);
    void handle_shutdown(const sctp::Chunk& chunk);
    void push_messages();
    void push_reconfig(Bytes answers);

    // own_association.cc
    void push(EventKind kind, std::uint16_t stream);
    void push_control(std::uint8_t type, Bytes value);
    void push_error(std::uint16_t cause, ByteSpan value);
    void deliver_inbox();
    void deliver(Event& event);
    void push_out(const SctpSendOptions& options, MessageBlock& block);
    Status admit(const SctpSendOptions& options, std::size_t size_bytes);
    bool check_space();
    bool has_room(std::size_t size_bytes) const;
    void ask_for_poll();
    void account();
    sctp::ReceiveLoad receive_load() const;
    void adjust_window(TimePoint now);
    void update_streams(TimePoint now);
    void transmit(TimePoint now);
    bool fill(sctp::PacketBuilder& packet, TimePoint now);
    void emit(sctp::PacketBuilder& packet);
    sctp::CommonHeader header_to(std::uint32_t tag) const;
    void send_single(std::uint32_t tag, std::uint8_t type, ByteSpan value);
    std::optional<TimePoint> next_deadline() const;
    void reschedule();
    void heartbeat(TimePoint now);
    /// One more sign that the peer does not answer.
    void count_error();
    void violate(const std::string& what);
    /// Ends with kClosed; poll() tells `reason`.
    void lose(std::string reason);
    void release();

    OwnSctpStack& stack_;
    const SctpOptions options_;
    SctpObserver& observer_;

    State state_ = State::kNew;
    bool in_poll_ = false;
    bool aborted_ = false;
    bool reading_ = true;
    bool held_ = false;  ///< had something to send while the stack's output was off
    bool told_pending_ = false;
    bool more_to_send_ = false;   ///< than one turn allows
    bool checksum_free_ = false;  ///< the peer takes packets without (RFC 9653)
    std::optional<TimePoint> listed_at_;
    std::string close_reason_;

    // The handshake.
    std::uint64_t secret_ = 0;
    std::uint32_t local_tag_ = 0;
    std::uint32_t local_tsn_ = 0;
    sctp::InitChunk peer_;
    Bytes cookie_;
    std::optional<TimePoint> handshake_deadline_;
    int handshake_tries_ = 0;

    // From kConnected on.
    std::uint16_t outgoing_streams_ = 0;
    std::unique_ptr<sctp::Sender> sender_;
    std::unique_ptr<sctp::Receiver> receiver_;
    std::optional<sctp::OutgoingResets> outgoing_resets_;
    std::optional<sctp::IncomingResets> incoming_resets_;
    bool shutdown_received_ = false;
    int reconfigs_ = 0;  ///< RE-CONFIG chunks in this packet
    int errors_ = 0;
    TimePoint heard_{};
    std::optional<TimePoint> heartbeat_sent_;  ///< and not answered

    std::size_t least_window_bytes_ = 0;
    std::size_t window_bytes_ = 0;  ///< what the peer may send unread
    std::size_t accounted_bytes_ = 0;
    std::size_t unread_bytes_ = 0;  ///< received and not delivered, as the stack knows it
    bool awaits_space_ = false;     ///< send() gave kLimit
    std::size_t wanted_bytes_ = 0;

    std::vector<Control> controls_;
    std::vector<Event> inbox_;
    std::vector<Event> delivering_;
    std::size_t inbox_bytes_ = 0;
    std::vector<sctp::ReceivedMessage> received_;
};

}  // namespace kollator::rtc
