#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/buffer.h"
#include "base/ids.h"
#include "base/time.h"
#include "loop/event_loop.h"
#include "peer/liveness.h"
#include "peer/wire.h"
#include "protocol/blobs.h"
#include "protocol/catalog.h"
#include "protocol/deflate.h"
#include "protocol/discovery.h"
#include "protocol/hello.h"
#include "protocol/message.h"

namespace kollator::peer {

using protocol::RequestId;

struct RequestLimits {
    /// Requests at once. A worker serves 64 at least, and refuses what is past its own limit.
    std::size_t max_active = 64;
    /// A request ends with kTimeout when nothing was heard from the worker, and nothing that we
    /// sent was acknowledged, for so long. Any sign of life counts for all of them: on a slow path
    /// they wait for each other's bytes.
    Duration silence_timeout = std::chrono::seconds(30);
    /// An answer of several messages that is no blob; none is known to be longer.
    std::size_t max_answer_bytes = 1024 * 1024;
    /// Requests and refusals that wait for room on the wire.
    std::size_t max_queued_bytes = 4 * 1024 * 1024;
    LivenessLimits liveness{};
};

/// What becomes of a request: the answer, or why there is none. A worker's refusal is mapped so,
/// with the worker's own words behind the contract's name ("BUSY: too many requests"):
///   NOT_FOUND kNotFound · HASH_MISMATCH kCorrupt · BUSY, QUOTA kLimit · UNAVAILABLE kUnavailable ·
///   CANCELLED kCancelled · INTERNAL kInternal · the others kInvalid
/// Of our own: kTimeout; kUnavailable: the connection is lost; kLimit: too many at once; kCorrupt:
/// bytes that do not match their name; kInvalid: what came is no answer to this.
template <typename T>
using Done = std::function<void(Result<T>)>;

/// A fragment of a blob, in order and without gaps; the data is valid for the call. What it gives
/// but success ends the request with that.
using FragmentSink = std::function<Status(const protocol::ResponseFragment&)>;

/// The asking side of a conversation with a worker (docs/protocol.md, section 2) on one ordered
/// channel: requests are pipelined, answers found by their id. Loop thread only. Whoever owns it
/// keeps it alive through each call to it, also where a callback drops it; callbacks run once, on
/// the loop, never before the call that they were given to returned, and not after forget_all() or
/// its end.
class Requests {
 public:
    /// `loop` and `wire` outlive it.
    Requests(EventLoop& loop, Wire& wire, RequestLimits limits = {});
    ~Requests();
    Requests(const Requests&) = delete;
    Requests& operator=(const Requests&) = delete;

    struct CallOptions {
        Duration deadline = Duration::zero();  ///< from now to the end of the answer; 0: none
        /// For progress bars: bytes of the blob so far, received or handed to the wire.
        std::function<void(std::uint32_t bytes)> on_progress{};
    };

    /// What it accepts, and what the worker's answer accepts, is what both sides then do: bodies
    /// are compressed where that pays, and inflated.
    RequestId hello(const protocol::Hello& hello, Done<protocol::Hello> done);

    /// A whole chunk, its SHA-256 checked. kInvalid where it is over `max_bytes`.
    RequestId fetch(const ChunkId& id, std::uint32_t max_bytes, CallOptions options,
                    Done<SharedBuffer> done);
    /// A whole metainfo file. Not checked: crypto::parse_metainfo() gives its name.
    RequestId fetch(const MetadataId& id, std::uint32_t max_bytes, CallOptions options,
                    Done<SharedBuffer> done);
    /// A part of a chunk (length 0: to the end) as it comes, not checked.
    RequestId stream(const protocol::ChunkRequest& request, CallOptions options, FragmentSink sink,
                     Done<void> done);

    /// Blobs are sent one after the other: side by side they would only be held for longer.
    /// REQUIRES: 1 byte at least.
    RequestId store(const ChunkId& id, SharedBuffer bytes, CallOptions options,
                    Done<protocol::StoreAnswer> done);
    RequestId store(const MetadataId& id, SharedBuffer bytes, CallOptions options,
                    Done<protocol::StoreAnswer> done);

    /// One entry for each name, in order. REQUIRES: protocol::kMaxStatNames at most.
    RequestId stat(std::vector<ChunkId> ids, Done<std::vector<protocol::StatEntry>> done);
    RequestId list(const protocol::ListRequest& request, Done<protocol::ListAnswer> done);
    RequestId announce(std::vector<ChunkId> ids, Done<protocol::AnnounceAnswer> done);
    RequestId look_up(const ChunkId& id, Done<protocol::LookupAnswer> done);
    /// The document of GET /health.
    RequestId health(Done<std::string> done);
    /// Any request of one message; the answer's body, its parts joined.
    RequestId ask(protocol::MessageType type, const Bytes& body, CallOptions options,
                  Done<Bytes> done);

    /// Tells the worker, and ends the request with kCancelled; nothing where it is over.
    void cancel(RequestId id);

    /// From now on bodies are sealed and opened by it. HELLO and AUTH go before.
    void set_cipher(std::unique_ptr<BodyCipher> cipher) { cipher_ = std::move(cipher); }

    /// Told when the worker owes an answer and gives no sign of life, whatever is sent to it
    /// (LivenessLimits), again and again until it does, or the connection is closed.
    void set_on_silent(std::function<void()> on_silent) { on_silent_ = std::move(on_silent); }

    /// False after on_closed().
    bool open() const { return !closed_; }
    std::size_t active() const { return pending_.size(); }
    /// When the worker last sent an answer, or took what we send.
    TimePoint heard() const { return heard_; }
    /// Bytes of blobs that are not handed to the wire yet.
    std::uint64_t unsent_blob_bytes() const;
    /// What the worker last advised with BUSY or UNAVAILABLE: nothing new before then.
    TimePoint not_before() const { return not_before_; }

    // Called by the wire's owner.
    void on_message(ByteSpan message, bool binary);
    void on_writable();
    /// Ends all requests with kUnavailable.
    void on_closed(const std::string& reason);
    /// Drops all requests without a word to anybody.
    void forget_all();

 private:
    struct Upload {
        std::array<std::uint8_t, 32> name{};
        SharedBuffer bytes;
        std::uint32_t offset = 0;  // of what is not handed to the wire yet
        protocol::PackTrial trial{};
        Bytes packed{};  // of the fragment at `offset`, while the wire has no room
        std::uint32_t packed_data_bytes = 0;  // how much of the blob that is; 0: not tried
    };
    struct Queued {
        protocol::Header header;
        Bytes body;
    };
    /// Takes one message of an answer; true when it was the last.
    using Take = std::function<Result<bool>(const protocol::Message&)>;
    struct Pending {
        protocol::MessageType type{};
        Take take;
        /// Tells the caller; without an error, what take() collected.
        std::function<void(std::optional<Error>)> finish;
        std::optional<Upload> upload;
        std::function<void(std::uint32_t)> on_progress;
        TimePoint began;
        std::optional<TimePoint> deadline;
        TimePoint armed;  // its place in deadlines_
    };

    template <typename T>
    RequestId call(protocol::MessageType type, Bytes body, CallOptions options,
                   Result<T> (*decode)(ByteSpan), Done<T> done);
    RequestId fetch_blob(protocol::MessageType type, Bytes body, std::uint32_t max_bytes,
                         CallOptions options, std::optional<ChunkId> name, Done<SharedBuffer> done);
    RequestId stream_blob(protocol::MessageType type, Bytes body, CallOptions options,
                          FragmentSink sink, Done<void> done);
    RequestId store_blob(protocol::MessageType type, ByteSpan name, SharedBuffer bytes,
                         CallOptions options, Done<protocol::StoreAnswer> done);
    Take collect(std::shared_ptr<Bytes> into) const;
    RequestId begin(Pending pending, const CallOptions& options, Bytes body);
    Status admit(const Pending& pending, std::size_t body_bytes) const;
    RequestId next_id();
    void end(RequestId id, std::optional<Error> error);
    void give_up(RequestId id, Error error);
    Result<bool> take(Pending& pending, const protocol::Message& message);
    Result<bool> take_unpacked(Pending& pending, const protocol::Message& message);
    Error refusal(ByteSpan body);
    void refuse(const protocol::Header& header);
    void queue(const protocol::Header& header, Bytes body);
    Status send(protocol::Header header, ByteSpan head, ByteSpan body);

    void pump();
    void pump_soon();
    bool send_queued();
    Status send_fragment(RequestId id, Pending& pending);
    void arm(RequestId id, Pending& pending);
    void arm_timer();
    void on_timer();
    void watch();
    void look();

    EventLoop& loop_;
    Wire& wire_;
    const RequestLimits limits_;

    std::map<RequestId, Pending> pending_;  // ids are ours
    std::set<std::pair<TimePoint, RequestId>> deadlines_;
    std::deque<Queued> queue_;
    std::size_t queued_bytes_ = 0;
    std::deque<RequestId> uploads_;
    std::unique_ptr<protocol::Inflater> inflater_;  // where we accept compressed bodies
    std::unique_ptr<protocol::Deflater> deflater_;  // where the worker does
    std::unique_ptr<BodyCipher> cipher_;
    /// Sealed, with its counter, and still without room on the wire.
    Bytes stuck_;
    std::uint32_t last_id_ = 0;
    TimePoint heard_{};
    std::size_t buffered_bytes_ = 0;
    TimePoint not_before_{};
    std::optional<std::string> closed_;
    Timer timer_;
    Bytes hello_;  // what we say to the worker, again when it is silent
    std::optional<RequestId> probe_id_;
    Liveness liveness_;
    Timer look_timer_;
    std::function<void()> on_silent_;
    bool pump_posted_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace kollator::peer
