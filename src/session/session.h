#pragma once

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
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "cluster/authenticator.h"
#include "cluster/seal.h"
#include "protocol/blobs.h"
#include "protocol/hello.h"
#include "protocol/message.h"
#include "session/allowance.h"
#include "session/context.h"
#include "session/download.h"
#include "session/fault.h"
#include "session/outgoing.h"
#include "session/refused_uploads.h"
#include "session/transport.h"
#include "session/upload.h"

namespace kollator::session {

struct SessionOptions {
    /// For logs: the peer's number or address.
    std::string label;
    /// Asks the owner to end the peer's connection; runs once at most, from the loop, never from
    /// within a call to the session. The owner destroys the session when it has ended.
    std::function<void(const std::string& reason)> close_connection;
    /// Of the connection, whose offerer is the peer; empty where its certificate is not known. For
    /// AUTH.
    std::function<std::optional<cluster::LinkFingerprints>()> fingerprints{};
};

/// For the status page.
struct SessionInfo {
    std::size_t channels = 0;
    std::size_t active_requests = 0;
    std::size_t upload_bytes = 0;  ///< of uploads that are not stored yet
    std::optional<protocol::Hello> hello;
    std::string fellow_id;  ///< of a worker that proved who it is; empty: an ordinary client
};

/// One peer's conversation on the data channels of its connection (docs/protocol.md, section 2).
/// Each channel carries the protocol independently; limits count for all of them together. Loop
/// thread only. May be destroyed at any time but from within a call to it: what is pending at the
/// chunk service then comes to nothing.
class Session final : private OutgoingObserver {
 public:
    /// `context` outlives the session.
    Session(SessionContext& context, SessionOptions options);
    ~Session() override;
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// kLimit: there are enough channels. kInvalid: the peer takes messages under kMinMessageBytes.
    Result<ChannelHandle> add_channel(std::unique_ptr<SessionTransport> transport);

    // Called by the channel's owner. A handle that was closed is ignored.
    void on_message(ChannelHandle channel, ByteSpan message, bool binary);
    void on_writable(ChannelHandle channel);
    /// Ends the channel's requests and destroys its transport.
    void on_close(ChannelHandle channel);

    /// Ends what took too long, by the context's clock.
    void sweep();

    SessionInfo info() const;

 private:
    struct StorePart;

    struct Reading {
        std::unique_ptr<Download> download;
    };
    struct Assembling {
        RefusedUploads::Name name{};
        Upload upload;
        TimePoint last_progress;
    };
    struct Storing {};    // the service has the bytes; too late to cancel
    struct Asking {};     // the service was asked for a page or for residencies
    struct Answering {};  // the answer waits for the transport

    struct Request {
        protocol::MessageType type{};
        std::uint64_t serial = 0;  // tells apart requests that had the same id
        TimePoint began;
        std::size_t answer_bytes = 0;  // reserved
        std::size_t upload_bytes = 0;  // reserved
        std::variant<Asking, Reading, Assembling, Storing, Answering> state;
    };

    // session.cc: channels, dispatch, answers.
    void receive(ChannelHandle channel, ByteSpan bytes);
    void receive_sealed(ChannelHandle channel, const protocol::Message& message);
    void dispatch(ChannelHandle channel, const protocol::Message& message);
    void receive_packed(ChannelHandle channel, const protocol::Message& message);
    bool refuse_unsupported(ChannelHandle channel, const protocol::Message& message);
    void note_malformed();
    void close_connection(const std::string& reason);
    void pump();
    void pump_soon();

    std::size_t max_active_requests() const {
        return fellow_id_.empty() ? limits_.max_active_requests : limits_.max_fellow_requests;
    }
    Request* find(const RequestKey& key);
    Request* find(const RequestKey& key, std::uint64_t serial);
    /// Null where it was refused, and the refusal sent.
    Request* admit(const RequestKey& key, protocol::MessageType type, std::size_t answer_bytes);
    Request& insert(const RequestKey& key, protocol::MessageType type);
    void erase(const RequestKey& key);
    void answer(const RequestKey& key, Bytes message);
    /// Ends an active request with an error.
    void fail(const RequestKey& key, const Fault& fault);
    void fail(const RequestKey& key, const Error& error);
    /// Answers a message that is no active request.
    void refuse(const RequestKey& key, protocol::MessageType type, const Fault& fault);
    void refuse_malformed(const RequestKey& key, protocol::MessageType type, std::string text);
    Bytes error_message(const RequestKey& key, protocol::MessageType type, const Fault& fault);
    /// A callback for the chunk service: calls `handler(session, request, arguments...)`, or
    /// nothing once the request, or the session, is gone.
    template <typename Handler>
    auto guarded(const RequestKey& key, std::uint64_t serial, Handler handler);

    // session_requests.cc: all but uploads.
    void on_hello(const RequestKey& key, ByteSpan body);
    template <typename Id>
    void on_blob_request(const RequestKey& key, protocol::MessageType type,
                         const Result<protocol::BlobRequest<Id>>& request);
    std::unique_ptr<chunk::Reader> open_blob(const protocol::ChunkRequest& request,
                                             std::function<void()> on_ready);
    std::unique_ptr<chunk::Reader> open_blob(const protocol::MetadataRequest& request,
                                             std::function<void()> on_ready);
    void on_list(const RequestKey& key, ByteSpan body);
    void answer_page(const RequestKey& key, std::size_t limit, const chunk::ChunkPage& page);
    void on_stat(const RequestKey& key, ByteSpan body);
    void answer_stats(const RequestKey& key, const std::vector<chunk::ChunkStat>& stats);
    void on_health(const RequestKey& key, ByteSpan body);
    void on_cancel(const RequestKey& key, ByteSpan body);

    // session_discovery.cc.
    void on_announce(const RequestKey& key, ByteSpan body);
    void on_lookup(const RequestKey& key, ByteSpan body);

    // session_auth.cc.
    void on_auth(const RequestKey& key, ByteSpan body);
    void seal_answers(ChannelHandle channel);

    // session_uploads.cc.
    template <typename Id>
    void on_store(const RequestKey& key, const protocol::Header& header,
                  const Result<protocol::StoreFragment<Id>>& fragment);
    void begin_upload(const RequestKey& key, const StorePart& part);
    void add_to_upload(const RequestKey& key, Request& request, const StorePart& part);
    void store(const RequestKey& key, Request& request);
    void refuse_upload(const RequestKey& key, const StorePart& part, const Fault& fault);
    /// Ends an upload that is not complete; what else of it comes is ignored.
    void abandon_upload(const RequestKey& key, const Request& request, const Fault& fault);
    void ignore_unread(const RequestKey& key, const protocol::Header& header);
    bool ordered(ChannelHandle channel);

    // OutgoingObserver.
    void on_answer_sent(const RequestKey& key) override;
    void on_fragment_sent(const RequestKey& key, bool first, bool last) override;
    void on_download_failed(const RequestKey& key, const Error& error) override;
    void on_sent(std::size_t bytes) override;

    // Injected.
    SessionContext& context_;
    const SessionOptions options_;
    const SessionLimits& limits_;

    // State.
    std::uint64_t number_ = 0;
    std::uint64_t next_channel_ = 1;
    std::uint64_t next_serial_ = 1;
    std::size_t answer_bytes_ = 0;
    std::size_t upload_bytes_ = 0;
    std::map<RequestKey, Request> requests_;
    RefusedUploads refused_;
    std::deque<TimePoint> malformed_;
    Allowance announces_;  // names
    Allowance lookups_;
    std::optional<protocol::Hello> hello_;
    std::set<ChannelHandle> greeted_;  // where HELLO told what we accept
    /// A channel on which AUTH succeeded. Its answer goes out unsealed, and all after it sealed.
    struct Authenticated {
        cluster::LinkOpener opener;
        cluster::LinkKey answer_key{};
    };
    std::map<ChannelHandle, Authenticated> authenticated_;
    std::string fellow_id_;
    Bytes opened_;  // the body of a sealed message, while it is handled
    bool closing_ = false;
    bool pump_posted_ = false;

    // Owned. The ring refers to downloads of requests_: it goes first.
    Outgoing outgoing_;
    /// What pending callbacks hold a weak reference to.
    std::shared_ptr<Session*> alive_;
};

template <typename Handler>
auto Session::guarded(const RequestKey& key, std::uint64_t serial, Handler handler) {
    return [alive = std::weak_ptr<Session*>(alive_), key, serial,
            handler = std::move(handler)](auto&&... arguments) {
        const std::shared_ptr<Session*> session = alive.lock();
        if (!session) return;
        Request* request = (*session)->find(key, serial);
        if (request == nullptr) return;
        handler(**session, *request, std::forward<decltype(arguments)>(arguments)...);
    };
}

/// As the application makes them.
std::unique_ptr<Session> make_session(SessionContext& context, SessionOptions options);

}  // namespace kollator::session
