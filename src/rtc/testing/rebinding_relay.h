#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <thread>

namespace kollator::rtc {

/// What a NAT does to one client's UDP, on loopback and a thread of its own: the worker sees the
/// relay's outer port, which rebind() replaces by another one.
class RebindingRelay {
 public:
    explicit RebindingRelay(std::uint16_t worker_port)
        : worker_port_(worker_port), inner_(open_socket()), outer_(open_socket()) {
        thread_ = std::thread([this] { run(); });
    }
    ~RebindingRelay() {
        stopping_ = true;
        thread_.join();
        ::close(inner_);
        ::close(outer_);
    }
    RebindingRelay(const RebindingRelay&) = delete;
    RebindingRelay& operator=(const RebindingRelay&) = delete;

    /// Where the client sends to.
    std::uint16_t port() const { return port_of(inner_); }
    /// The NAT forgets the client: what it sends next comes from another port, and what is sent to
    /// the old one is lost. With `mute_checks` STUN requests of the client are lost from then on.
    void rebind(bool mute_checks) {
        mute_checks_ = mute_checks;
        rebind_ = true;
        while (rebind_) std::this_thread::yield();
    }

 private:
    static constexpr int kPollMs = 1;

    static int open_socket() {
        const int descriptor = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        sockaddr_in any = loopback(0);
        EXPECT_EQ(::bind(descriptor, reinterpret_cast<sockaddr*>(&any), sizeof(any)), 0);
        return descriptor;
    }
    static sockaddr_in loopback(std::uint16_t port) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return address;
    }
    static std::uint16_t port_of(int descriptor) {
        sockaddr_in address{};
        socklen_t size = sizeof(address);
        EXPECT_EQ(::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size), 0);
        return ntohs(address.sin_port);
    }

    void run() {
        while (!stopping_) {
            if (rebind_) {
                ::close(outer_);
                outer_ = open_socket();
                rebind_ = false;
            }
            std::array<pollfd, 2> ready{{{inner_, POLLIN, 0}, {outer_, POLLIN, 0}}};
            ::poll(ready.data(), ready.size(), kPollMs);
            carry_out();
            carry_in();
        }
    }
    void carry_out() {
        sockaddr_in from{};
        socklen_t size = sizeof(from);
        const ssize_t got = ::recvfrom(inner_, buffer_.data(), buffer_.size(), 0,
                                       reinterpret_cast<sockaddr*>(&from), &size);
        if (got <= 0) return;
        client_ = from;
        // RFC 8489 5: a request's first two bits, and its class, are zero.
        const bool request = buffer_[0] == 0 && (buffer_[1] & 0x10) == 0;
        if (request && mute_checks_) return;
        const sockaddr_in to = loopback(worker_port_);
        ::sendto(outer_, buffer_.data(), static_cast<std::size_t>(got), 0,
                 reinterpret_cast<const sockaddr*>(&to), sizeof(to));
    }
    void carry_in() {
        const ssize_t got = ::recv(outer_, buffer_.data(), buffer_.size(), 0);
        if (got <= 0 || !client_) return;
        ::sendto(inner_, buffer_.data(), static_cast<std::size_t>(got), 0,
                 reinterpret_cast<const sockaddr*>(&*client_), sizeof(*client_));
    }

    const std::uint16_t worker_port_;
    const int inner_;
    int outer_;  ///< the thread's, once it runs
    std::optional<sockaddr_in> client_;
    std::array<std::uint8_t, 2048> buffer_{};
    std::atomic<bool> rebind_ = false;
    std::atomic<bool> mute_checks_ = false;
    std::atomic<bool> stopping_ = false;
    std::thread thread_;
};

}  // namespace kollator::rtc
