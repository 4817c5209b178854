#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "rtc/ice/candidate.h"
#include "rtc/stun/stun_message.h"

namespace kollator::rtc {

inline constexpr std::string_view kPeerUfrag = "peer";

/// A peer's UDP socket on loopback that can send checks and see whether they are answered.
class PeerSocket {
 public:
    explicit PeerSocket(std::uint16_t port)
        : descriptor_(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0)) {
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT_EQ(::connect(descriptor_, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
    }
    ~PeerSocket() { ::close(descriptor_); }
    PeerSocket(const PeerSocket&) = delete;
    PeerSocket& operator=(const PeerSocket&) = delete;

    void send(ByteSpan bytes) const {
        EXPECT_GT(::send(descriptor_, bytes.data(), bytes.size(), 0), 0);
    }
    /// An authentic check, by who knows the worker's password.
    void check(const IceCredentials& worker, std::string_view ufrag = kPeerUfrag) const {
        send(StunBuilder(StunClass::kRequest, kStunBinding, {1, 2, 3})
                 .username(worker.ufrag + ":" + std::string(ufrag))
                 .priority(1)
                 .ice_controlling(1)
                 .integrity(worker.password)
                 .fingerprint()
                 .finish());
    }
    std::optional<StunMessage> receive() {
        const ssize_t size = ::recv(descriptor_, buffer_.data(), buffer_.size(), 0);
        if (size <= 0) return std::nullopt;
        const Result<StunMessage> message = parse_stun(ByteSpan(buffer_).first(size));
        return message.ok() ? std::optional(*message) : std::nullopt;
    }

 private:
    int descriptor_;
    std::array<std::uint8_t, 2048> buffer_{};
};

}  // namespace kollator::rtc
