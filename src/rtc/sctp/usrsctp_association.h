#pragma once

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "rtc/sctp/flight_cap.h"
#include "rtc/sctp/sctp_association.h"
#include "rtc/sctp/send_ledger.h"
#include "rtc/sctp/send_window.h"

struct socket;  // usrsctp's own

namespace kollator::rtc {

class UsrsctpStack;

struct MallocDelete {
    void operator()(std::uint8_t* data) const { std::free(data); }
};
/// What usrsctp allocates with malloc and hands over.
using MallocBytes = std::unique_ptr<std::uint8_t[], MallocDelete>;

/// One association on a usrsctp socket of its own.
///
///     kNew --connect--> kConnecting --COMM_UP--> kConnected --+
///                            |                                | ABORT, SHUTDOWN, timeout,
///                            +----------------> kClosed <-----+ abort(), too large a message
///
/// What usrsctp reports, it reports in the middle of its own work; all of it waits in `inbox_` for
/// poll().
class UsrsctpAssociation final : public SctpAssociation {
 public:
    UsrsctpAssociation(UsrsctpStack& stack, const SctpOptions& options, SctpObserver& observer);
    ~UsrsctpAssociation() override;
    UsrsctpAssociation(const UsrsctpAssociation&) = delete;
    UsrsctpAssociation& operator=(const UsrsctpAssociation&) = delete;

    void connect(TimePoint now) override;
    void handle_packet(ByteSpan packet, TimePoint now) override;
    void poll(TimePoint now) override;
    bool wants_poll() const override;
    Status send(const SctpSendOptions& options, ByteSpan head, ByteSpan body) override;
    std::size_t buffered_bytes() const override;
    std::size_t writable_bytes() const override;
    std::uint16_t outgoing_streams() const override { return outgoing_streams_; }
    void reset_stream(std::uint16_t stream) override;
    void abort() override;

    /// A message; `last` is false for a part of one, which usrsctp delivers when it is too large.
    struct Piece {
        std::uint16_t stream = 0;
        std::uint32_t ppid = 0;
        bool last = true;
        MallocBytes data;
        std::size_t size_bytes = 0;
    };

    // For usrsctp_library.cc, from within usrsctp.
    void on_output(MutableByteSpan packet);
    void on_piece(Piece piece);
    void on_notification(ByteSpan notification);
    void on_send_space(std::size_t free_bytes);

 private:
    enum class State : std::uint8_t { kNew, kConnecting, kConnected, kClosed };
    enum class EventKind : std::uint8_t { kConnected, kMessage, kReset, kResetDone, kClosed };
    struct Event {
        EventKind kind;
        Piece piece;  ///< kMessage: all of it; kReset, kResetDone: its stream
    };

    bool open_socket();
    bool configure();
    bool set_path_mtu();
    bool subscribe(std::uint16_t notification);
    template <typename T>
    bool set_option(int level, int name, const T& value);

    void on_association_change(ByteSpan notification);
    void on_stream_reset_event(ByteSpan notification);

    Status send_joined(const SctpSendOptions& options, ByteSpan message);
    void push(EventKind kind, std::uint16_t stream);
    void deliver(Event& event);
    void try_resets();
    /// Ends with kClosed; poll() tells `reason`.
    void lose(std::string reason);
    void close_socket();
    /// Whether there is now the room that send() had not.
    void check_space();
    void update_busy();
    /// Tells the stack what is buffered here now.
    void account();
    /// Follows the path: a larger send buffer where it holds more.
    void grow(const SendLedger::Acknowledged& acknowledged, TimePoint now);
    void apply_flight_cap();
    bool has_room(std::size_t size_bytes) const;

    UsrsctpStack& stack_;
    const SctpOptions options_;
    SctpObserver& observer_;

    void* handle_ = nullptr;
    struct socket* socket_ = nullptr;
    State state_ = State::kNew;
    bool in_input_ = false;    ///< inside handle_packet: what happens is the peer's doing
    bool must_close_ = false;  ///< the socket is to be closed once usrsctp has returned
    bool aborted_ = false;
    bool counted_busy_ = false;
    bool awaits_space_ = false;  ///< send() gave kLimit
    bool space_came_ = false;    ///< and since then there was room
    std::string close_reason_;
    std::uint16_t outgoing_streams_ = 0;
    SendLedger ledger_;
    SendWindow window_;
    FlightCap flight_cap_;
    std::size_t applied_cap_bytes_ = 0;  ///< what usrsctp was told of it
    std::size_t accounted_bytes_ = 0;    ///< what the stack was told of ledger_
    std::size_t least_window_bytes_ = 0;
    std::size_t window_bytes_ = 0;  ///< what the peer may send unread
    std::size_t wanted_bytes_ = 0;  ///< size of the message that was refused

    std::vector<Event> inbox_;
    std::vector<Event> delivering_;
    std::size_t inbox_bytes_ = 0;
    std::vector<std::uint16_t> pending_resets_;  ///< not yet taken by usrsctp
    std::size_t resets_in_flight_ = 0;
};

}  // namespace kollator::rtc
