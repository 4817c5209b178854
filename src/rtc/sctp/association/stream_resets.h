#pragma once

#include <optional>
#include <vector>

#include "base/time.h"
#include "rtc/sctp/packet/reconfig_chunk.h"
#include "rtc/sctp/packet/tsn.h"

namespace kollator::rtc::sctp {

/// Resets of our outgoing streams (RFC 6525), one request at a time, for all that are ready then:
///
///     want() --queue empty--> draining --all acknowledged--> requested --answer--> done
///
/// A request goes out only when the peer has everything that was sent on its streams, so that it
/// can be performed at once. Pure.
class OutgoingResets {
 public:
    /// RFC 6525 5.1.2: numbers begin with the initial TSN.
    explicit OutgoingResets(std::uint32_t first_sequence) : next_sequence_(first_sequence) {}

    void want(std::uint16_t stream) {
        if (!is_resetting(stream)) streams_.push_back({stream, std::nullopt, false});
    }
    bool is_resetting(std::uint16_t stream) const;
    bool empty() const { return streams_.empty(); }

    /// `has_queued(stream)`: something waits to be sent on it. `next`: our next TSN. Gives the
    /// request that must go out now, for the first time or again.
    template <typename HasQueued>
    std::optional<OutgoingResetRequest> poll(TimePoint now, Duration timeout, Tsn next,
                                             Tsn cumulative, HasQueued has_queued) {
        for (Stream& stream : streams_) {
            if (!stream.barrier && !has_queued(stream.id)) stream.barrier = next - 1;
        }
        return next_request(now, timeout, cumulative);
    }
    /// Gives the streams that are done: the peer did it, or knows nothing of it.
    std::vector<std::uint16_t> on_response(const ReconfigResponse& response, TimePoint now);
    std::optional<TimePoint> deadline() const { return deadline_; }
    /// Of requests in a row without an answer.
    int tries() const { return tries_; }

 private:
    struct Stream {
        std::uint16_t id = 0;
        std::optional<Tsn> barrier;  ///< the last TSN that may be of the stream
        bool requested = false;
    };

    std::optional<OutgoingResetRequest> next_request(TimePoint now, Duration timeout,
                                                     Tsn cumulative);
    OutgoingResetRequest build(Tsn cumulative) const;

    std::vector<Stream> streams_;  ///< bounded by the association's streams
    std::uint32_t next_sequence_;
    std::uint32_t first_sequence_ = 0;  ///< of the request in its first form
    bool requested_ = false;
    bool renew_ = false;  ///< the peer was not ready: ask anew
    std::optional<TimePoint> deadline_;
    int tries_ = 0;
};

/// The peer's requests to us, and the answers. Pure.
class IncomingResets {
 public:
    IncomingResets(std::uint32_t first_sequence, std::uint16_t streams)
        : last_sequence_(first_sequence - 1), streams_(streams) {}

    struct Verdict {
        std::optional<ReconfigResponse> response;
        std::vector<std::uint16_t> reset;  ///< these begin anew now
        bool all = false;                  ///< no list: all of them
    };
    /// `last_tsn` is the request's, and `cumulative` how far the peer's data has come.
    Verdict on_outgoing(const OutgoingResetRequest& request, Tsn last_tsn, Tsn cumulative);
    /// For a request of any other kind; `result` is what to say to one that is new. True: it is.
    bool on_other(std::uint32_t sequence, ResetResult result, ReconfigResponse& response);
    /// A request that had to wait for data may be performed now.
    Verdict on_progress(Tsn cumulative);
    std::uint32_t last_sequence() const { return last_sequence_; }

 private:
    struct Waiting {
        std::uint32_t sequence = 0;
        Tsn last_tsn = 0;
        std::vector<std::uint16_t> streams;
    };
    /// RFC 6525 5.2.1: the next number is new, the last one is a repetition.
    bool is_repetition(std::uint32_t sequence) const { return sequence == last_sequence_; }
    bool is_new(std::uint32_t sequence) const { return sequence == last_sequence_ + 1; }
    Verdict perform(std::uint32_t sequence, std::vector<std::uint16_t> streams);

    std::uint32_t last_sequence_;
    ResetResult last_result_ = ResetResult::kNothingToDo;
    std::uint16_t streams_;
    std::optional<Waiting> waiting_;
};

}  // namespace kollator::rtc::sctp
