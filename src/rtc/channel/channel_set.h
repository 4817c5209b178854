#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>

#include "rtc/channel/dcep.h"
#include "rtc/data_transport.h"
#include "rtc/sctp/sctp_association.h"

namespace kollator::rtc {

class ChannelSet;

/// A data channel's life:
///
///     kQueued --SCTP is up--> kOpening --ACK or data--> kOpen --close()--> kClosing --peer's
///     reset--> gone
///        (ours only)                                      | ^
///     (the peer's begin here) ----------------------------+--------------- peer's reset
///     ---------------+
class Channel final : public DataChannel {
 public:
    enum class State : std::uint8_t { kQueued, kOpening, kOpen, kClosing };

    Channel(ChannelSet& set, std::uint16_t stream, DcepOpen open, State state);

    std::string_view label() const override { return open_.label; }
    std::string_view protocol() const override { return open_.protocol; }
    bool ordered() const override { return open_.ordered; }
    std::uint16_t stream_id() const override { return stream_; }
    std::size_t max_message_bytes() const override;
    Status send(ByteSpan head, ByteSpan body) override;
    Status give(MessageBlock& message) override;
    /// Of the association: its channels share one send buffer.
    std::size_t buffered_bytes() const override;
    std::size_t writable_bytes() const override;
    void close() override;

 private:
    friend class ChannelSet;

    ChannelSet& set_;
    const std::uint16_t stream_;
    const DcepOpen open_;
    State state_;
    bool wants_writable_ = false;  ///< send() gave kLimit
    std::unique_ptr<DataChannelObserver> observer_;
};

/// All channels of one association: DCEP (RFC 8832), streams and their resets (RFC 8831 6.7). Its
/// methods run from DataTransport::poll() but for open() and what users call on a Channel.
class ChannelSet {
 public:
    /// `observer` outlives the set. `max_message_bytes` is what the peer takes.
    ChannelSet(DtlsRole role, std::size_t max_message_bytes, DataTransportObserver& observer);
    ~ChannelSet();

    Result<std::uint16_t> open(const ChannelOptions& options);

    /// SCTP is up. `association` stays until close_all().
    void on_connected(SctpAssociation& association);
    void on_message(std::uint16_t stream, std::uint32_t ppid, ByteSpan message);
    void on_reset(std::uint16_t stream);
    void on_reset_done(std::uint16_t stream);
    void on_writable();
    /// Sends DCEP messages that found no room before.
    void flush();
    /// The association is over: on_close for every open channel.
    void close_all();

    std::size_t size() const;

 private:
    friend class Channel;

    /// One SCTP stream, from its channel's beginning until our outgoing side is reset again.
    struct Stream {
        std::unique_ptr<Channel> channel;
        bool reset_pending = false;  ///< our reset was asked for and is not done
    };
    struct Control {
        std::uint16_t stream;
        Bytes message;
    };

    void on_dcep(std::uint16_t stream, ByteSpan message);
    void accept(std::uint16_t stream, ByteSpan message);
    /// Hands an open channel to the observer; without one it is reset.
    void present(Channel& channel);
    void refuse(std::uint16_t stream, const std::string& why);
    void reset(std::uint16_t stream);
    void send_control(std::uint16_t stream, Bytes message);
    void drop_channel(std::uint16_t stream);

    /// Whether a message of that size may go to the association at all.
    Status check_data(const Channel& channel, std::size_t size_bytes) const;
    Status send_data(Channel& channel, ByteSpan head, ByteSpan body);
    Status give_data(Channel& channel, MessageBlock& message);

    DataTransportObserver& observer_;
    const std::uint16_t
        first_stream_;  ///< RFC 8832 6: the DTLS client's are even, the server's odd
    const std::size_t max_message_bytes_;
    SctpAssociation* association_ = nullptr;
    std::map<std::uint16_t, Stream> streams_;
    std::deque<Control> controls_;     ///< at most one for each stream
    std::uint16_t next_writable_ = 0;  ///< where on_writable begins, so that all get their turn
};

}  // namespace kollator::rtc
