#pragma once

#include <list>
#include <map>
#include <optional>
#include <vector>

#include "rtc/sctp/packet/data_chunk.h"
#include "rtc/sctp/packet/tsn.h"
#include "rtc/sctp/rx/buffer_pool.h"

namespace kollator::rtc::sctp {

struct ReceivedMessage {
    std::uint16_t stream = 0;
    std::uint32_t ppid = 0;
    Bytes bytes;
};

/// Makes messages of DATA chunks, in whatever order those come, and gives the ordered ones of each
/// stream in order (RFC 9260 6.5, 6.9).
///
/// The fragments of a message have TSNs in a row. A *run* is a row of fragments that have come; one
/// that begins and ends is a message. A fragment joins the run before it and the run behind it
/// without copying what they hold, so that no order of arrival costs more than another.
class Reassembly {
 public:
    /// What a row of fragments and a message that waits for its turn cost beside their bytes:
    /// nodes of containers, and what an allocation takes at least. Counted in held_bytes().
    static constexpr std::size_t kOverheadBytes = 256;

    /// `pool` outlives this.
    Reassembly(BufferPool& pool, std::size_t max_message_bytes)
        : pool_(pool), max_message_bytes_(max_message_bytes) {}

    enum class Outcome : std::uint8_t { kOk, kTooLarge, kViolation };
    /// A chunk that has not come before, with a payload. Messages that are now in turn are appended
    /// to `out`.
    Outcome add(Tsn tsn, const DataChunk& data, std::vector<ReceivedMessage>& out);

    /// RFC 3758 3.6: nothing at `tsn` or below comes any more; with that, everything up to
    /// `cumulative` is there or given up.
    void forward_to(Tsn tsn, Tsn cumulative);
    /// Ordered messages up to `ssn` are not waited for. Costs what it delivers: a packet may name
    /// thousands of streams and numbers while thousands of messages wait.
    void skip(std::uint16_t stream, std::uint16_t ssn, std::vector<ReceivedMessage>& out);
    /// RFC 6525 5.2.2: the stream begins anew at 0.
    void reset_stream(std::uint16_t stream);
    /// That something came on since they began.
    std::vector<std::uint16_t> used_streams() const;

    /// Of what is not delivered yet; the peer's window shrinks by it.
    std::size_t held_bytes() const { return held_bytes_; }
    /// What that takes of memory: buffers are larger than what is in them.
    std::size_t memory_bytes() const { return held_bytes_ + spare_bytes_; }

 private:
    struct Run {
        Tsn last = 0;
        bool begins = false;
        bool ends = false;
        DataChunk head;  ///< of its first fragment, without payload
        std::list<Bytes> pieces;
        std::size_t size_bytes = 0;
        std::size_t spare_bytes = 0;  ///< of its buffers
        bool pooled = false;
    };
    using Runs = std::map<Tsn, Run>;
    struct Stream {
        std::uint16_t next_ssn = 0;
        bool used = false;
    };
    struct Waiting {
        std::uint32_t ppid = 0;
        Bytes bytes;
    };

    Outcome add_fragment(Tsn tsn, const DataChunk& data, std::vector<ReceivedMessage>& out);
    void append(Run& run, Tsn tsn, const DataChunk& data);
    /// Joins `run` with the one that follows where they touch.
    void join_next(Runs::iterator run);
    Bytes take_bytes(Run& run);
    /// The run's bytes no longer count.
    void discount(const Run& run);
    void deliver(const DataChunk& head, Bytes bytes, std::vector<ReceivedMessage>& out);
    void release(std::uint16_t stream, std::vector<ReceivedMessage>& out);
    void release_row(std::uint16_t stream, std::uint16_t first, std::uint16_t last,
                     std::vector<ReceivedMessage>& out);
    Stream& stream_at(std::uint16_t stream);

    BufferPool& pool_;
    const std::size_t max_message_bytes_;
    Runs runs_;
    Runs::iterator latest_ = runs_.end();  ///< where the last fragment went
    std::vector<Stream> streams_;          ///< up to the highest that was heard of
    /// Whole messages before their turn, by stream and SSN.
    std::map<std::pair<std::uint16_t, std::uint16_t>, Waiting> waiting_;
    std::size_t held_bytes_ = 0;
    std::size_t spare_bytes_ = 0;
    /// A buffer of the pool is with a run. One at a time: they hold the largest message, and runs
    /// behind holes may stay. Without holes there is one run.
    bool pooled_ = false;
};

}  // namespace kollator::rtc::sctp
