#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "base/time.h"
#include "rtc/socket_address.h"
#include "rtc/stun/stun_message.h"

namespace kollator::rtc {

struct TurnCredentials {
    std::string username;
    std::string password;
};

struct TurnOptions {
    /// The transport to the server loses nothing (TCP, TLS): requests are sent once.
    bool reliable = false;
    /// The first four bytes of its transaction ids.
    std::uint32_t transaction_prefix = 0;
    /// Asked at the beginning of each allocation.
    std::function<TurnCredentials()> credentials;
};

/// What a peer sent us through the relay.
struct TurnData {
    SocketAddress from;
    ByteSpan bytes;  ///< a view into the message that it came in
};

//   kIdle ─start()─▶ kAllocating ──▶ kAllocated ──refused, unanswered──▶ kFailed
//                        └───────── refused, unanswered ────────────────▶ ┘ │
//                        ▲                                                  │ kRetry
//                        └──────────────────────────────────────────────────┘
enum class TurnState : std::uint8_t { kIdle, kAllocating, kAllocated, kFailed };

/// A TURN client (RFC 8656) with one allocation on one server, for all peers: long-term credentials
/// (RFC 8489 9.2), permissions, channels, refreshes. Sans-IO: whole messages of the server and time
/// go in, messages for it come out. Loop thread only.
class TurnClient {
 public:
    /// `random` outlives the client.
    TurnClient(TurnOptions options, Random& random);

    /// The way to the server is open. Also after it was lost: what was allocated is forgotten.
    void start(TimePoint now);
    /// The way to the server is lost; nothing happens until start().
    void stop(const std::string& reason);
    /// Gives the allocation back, as far as one message may.
    void release(TimePoint now);

    /// A STUN message or ChannelData of the server; what is malformed or not authentic is ignored.
    std::optional<TurnData> handle_message(TimePoint now, ByteSpan message);
    void handle_timeout(TimePoint now);
    std::optional<TimePoint> next_timeout() const;
    std::optional<Bytes> poll_output();

    /// Lets the peers at `ip` send to us; also done by send(). Past kMaxPermissions the idlest of
    /// those from which nobody ever sent goes, then the idlest of the others.
    void permit(TimePoint now, const IpAddress& ip);
    /// Sends one datagram to a peer through the relay. Dropped where there is no allocation, or the
    /// queue for the server is full, as UDP may.
    void send(TimePoint now, const SocketAddress& to, ByteSpan datagram);

    TurnState state() const { return state_; }
    /// Where peers reach us through the relay; empty unless allocated.
    const std::optional<SocketAddress>& relayed() const { return relayed_; }
    /// How the server sees us; empty unless allocated.
    const std::optional<SocketAddress>& mapped() const { return mapped_; }
    /// Why the last allocation failed or was lost, for logs.
    const std::string& failure() const { return failure_; }

    static constexpr std::size_t kMaxPermissions = 512;
    static constexpr std::size_t kMaxChannels = 1024;
    static constexpr std::size_t kMaxRequests = 256;
    static constexpr std::size_t kMaxQueuedDatagrams = 1024;
    static constexpr Duration kRetry = std::chrono::seconds(60);

 private:
    enum class Kind : std::uint8_t { kAllocate, kRefresh, kRelease, kPermission, kChannel };
    struct Request {
        Kind kind = Kind::kAllocate;
        SocketAddress peer;         ///< of a permission (its port is of no interest) or channel
        std::uint16_t channel = 0;  ///< of a channel
        TransactionId id{};
        Bytes bytes;
        int sent = 0;
        int refused = 0;  ///< for its nonce or missing credentials
        Duration timeout{};
        TimePoint resend_at;
    };
    struct Permission {
        bool granted = false;
        bool heard = false;  ///< a peer has sent data from there
        TimePoint refresh_at;
        TimePoint last_used;
    };
    struct Channel {
        std::uint16_t number = 0;
        bool bound = false;
        TimePoint refresh_at;
        TimePoint last_used;
        /// RFC 8656 12: not to be bound to another peer before.
        std::optional<TimePoint> free_at;
    };
    struct IpHash {
        std::size_t operator()(const IpAddress& ip) const { return SocketAddressHash()({ip, 0}); }
    };

    void allocate(TimePoint now);
    void fail(TimePoint now, std::string reason);
    void forget();

    void request(TimePoint now, Kind kind, const SocketAddress& peer = {},
                 std::uint16_t channel = 0);
    void begin(TimePoint now, Request request);
    void transmit(TimePoint now, Request& request);
    Bytes build(const Request& request) const;
    bool is_authentic(ByteSpan bytes, const StunMessage& message) const;
    void handle_response(TimePoint now, ByteSpan bytes, const StunMessage& message);
    void handle_success(TimePoint now, const Request& request, const StunMessage& message);
    void handle_error(TimePoint now, Request request, const StunMessage& message);
    void give_up(TimePoint now, const Request& request, const std::string& why);

    std::optional<TurnData> handle_channel_data(ByteSpan message) const;
    std::optional<std::uint16_t> channel_to(TimePoint now, const SocketAddress& to);
    void maintain(TimePoint now);
    void emit(Bytes bytes);

    const TurnOptions options_;
    Random& random_;
    TurnState state_ = TurnState::kIdle;
    std::string failure_;

    TurnCredentials credentials_;
    std::string realm_;
    std::string nonce_;
    std::string key_;  ///< empty until the server told its realm

    std::optional<SocketAddress> relayed_;
    std::optional<SocketAddress> mapped_;
    TimePoint refresh_at_;
    std::optional<TimePoint> next_maintenance_;
    std::optional<TimePoint> retry_at_;
    bool released_mismatch_ = false;

    std::vector<Request> requests_;
    std::unordered_map<IpAddress, Permission, IpHash> permissions_;
    std::unordered_map<SocketAddress, Channel, SocketAddressHash> channels_;
    std::unordered_map<std::uint16_t, SocketAddress> peers_by_channel_;
    std::uint16_t last_channel_ = 0;
    std::deque<Bytes> output_;
};

}  // namespace kollator::rtc
