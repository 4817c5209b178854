#pragma once

#include <cstddef>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "cluster/seal.h"
#include "session/download.h"
#include "session/limits.h"
#include "session/transport.h"

namespace kollator::session {

/// Told by Outgoing::pump(), and by nothing else.
class OutgoingObserver {
 public:
    virtual ~OutgoingObserver() = default;
    /// The answer of `key`, given to Outgoing::answer(), was handed to the transport.
    virtual void on_answer_sent(const RequestKey& key) = 0;
    virtual void on_fragment_sent(const RequestKey& key, bool first, bool last) = 0;
    /// The download is out of the ring and is to be answered with `error`.
    virtual void on_download_failed(const RequestKey& key, const Error& error) = 0;
    /// `bytes` were handed to a transport, as one message.
    virtual void on_sent(std::size_t bytes) = 0;
};

/// All that one connection sends. Small answers go before fragments; the downloads that are ready
/// take turns, one fragment each, across all channels. A channel whose transport has no room is
/// left alone until there is. Holds no more than the answers it was given and one prepared piece
/// for each channel.
class Outgoing {
 public:
    Outgoing(const SessionLimits& limits, OutgoingObserver& observer)
        : limits_(limits), observer_(observer) {}

    void add_channel(ChannelHandle handle, std::unique_ptr<SessionTransport> transport);
    /// Drops what waits for it.
    void remove_channel(ChannelHandle handle);
    /// Null where it was removed.
    SessionTransport* channel(ChannelHandle handle);
    std::size_t channels() const { return channels_.size(); }
    /// The largest message that may be given to answer(). REQUIRES: the channel is there.
    std::size_t max_message_bytes(ChannelHandle handle) const;

    /// From now on every message on the channel is sealed. REQUIRES: it is there, and is ordered.
    void seal(ChannelHandle handle, const cluster::LinkKey& key);

    /// From now on the channel's fragments are compressed where it pays; null: no more. `deflater`
    /// outlives it.
    void compress(ChannelHandle handle, protocol::Deflater* deflater);

    /// Queues a whole message. `key`: the request that it ends, told to on_answer_sent(); none: a
    /// refusal, counted in refusal_bytes(). REQUIRES: it fits the channel's max_message_bytes().
    void answer(ChannelHandle handle, Bytes message, std::optional<RequestKey> key);
    std::size_t refusal_bytes() const { return refusal_bytes_; }

    /// Puts a download at the end of the ring; nothing where it is in it already. It must be
    /// removed before it is destroyed.
    void ready(const RequestKey& key, Download& download);
    void remove(const RequestKey& key);

    /// There is room again. Channels share their connection's send buffer, so that each of them is
    /// tried anew: else the first to be told would take all the room each time.
    void writable();

    /// Sends what can be sent. True where more could be sent now but others should have a turn.
    bool pump();

 private:
    struct Answer {
        Bytes message;
        std::optional<RequestKey> key;
    };
    struct Channel {
        std::unique_ptr<SessionTransport> transport;
        std::deque<Answer> answers;
        std::optional<cluster::LinkSealer> sealer;
        protocol::Deflater* deflater = nullptr;
        bool blocked = false;
    };
    struct Turn {
        RequestKey key;
        Download* download;
    };

    void send_answers();
    bool send_answers(Channel& channel);
    std::list<Turn>::iterator next_turn();
    std::uint32_t piece_bytes(const Download& download, std::size_t max_message_bytes) const;
    void take_turn(std::list<Turn>::iterator turn);
    static std::size_t max_message_bytes(const Channel& channel);
    Status send(Channel& channel, ByteSpan head, ByteSpan body);
    Status send(Channel& channel, const Download& download);

    const SessionLimits& limits_;
    OutgoingObserver& observer_;
    std::map<ChannelHandle, Channel> channels_;
    std::list<Turn> ring_;  // at most one for each active request
    std::size_t refusal_bytes_ = 0;
    std::size_t packs_ = 0;         // tried in this turn of the loop
    bool answers_waiting_ = false;  // on a channel that is not blocked
    Bytes sealed_;                  // one message, while it is sent
};

}  // namespace kollator::session
