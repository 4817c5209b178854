#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/random.h"
#include "base/time.h"
#include "rtc/socket_address.h"
#include "rtc/stun/stun_message.h"

namespace kollator::rtc {

/// Learns from one STUN server how our socket looks from outside (RFC 8489), and keeps the NAT's
/// binding alive by asking again. Sans-IO. Loop thread only.
class StunClient {
 public:
    /// `transaction_prefix`: the first four bytes of its transaction ids. `random` outlives it.
    StunClient(SocketAddress server, std::uint32_t transaction_prefix, Random& random)
        : server_(server), transaction_prefix_(transaction_prefix), random_(random) {}

    const SocketAddress& server() const { return server_; }
    void start(TimePoint now);
    /// An answer from the server. Others are ignored.
    void handle_response(TimePoint now, const StunMessage& message);
    void handle_timeout(TimePoint now);
    std::optional<TimePoint> next_timeout() const { return next_; }
    /// A datagram for the server.
    std::optional<Bytes> poll_output();

    /// Ours as the server sees it; empty before the first answer, and again while the server is
    /// silent.
    const std::optional<SocketAddress>& mapped() const { return mapped_; }
    /// The last attempt had no answer of use; the next is due at next_timeout().
    bool failed() const { return !pending_ && !mapped_; }
    /// The first attempt has not ended yet.
    bool gathering() const { return gathering_; }

    /// Less than the 30 s after which NATs forget (RFC 8445 11 wants 15 s between keepalives).
    static constexpr Duration kRefresh = std::chrono::seconds(15);
    static constexpr Duration kRetry = std::chrono::seconds(60);

 private:
    void send(TimePoint now);

    const SocketAddress server_;
    const std::uint32_t transaction_prefix_;
    Random& random_;
    std::optional<TimePoint> next_;
    std::optional<TransactionId> pending_;
    int sent_ = 0;
    Duration timeout_{};
    bool gathering_ = true;
    std::optional<Bytes> output_;
    std::optional<SocketAddress> mapped_;
};

}  // namespace kollator::rtc
