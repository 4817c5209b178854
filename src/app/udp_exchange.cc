#include "app/udp_exchange.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

namespace kollator::app {
namespace {

constexpr int kSendings = 4;
constexpr std::size_t kMaxDatagramBytes = 2048;

class Socket {
 public:
    explicit Socket(int descriptor) : descriptor_(descriptor) {}
    ~Socket() {
        if (descriptor_ >= 0) ::close(descriptor_);
    }
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    int get() const { return descriptor_; }

 private:
    const int descriptor_;
};

Status ask_address(const addrinfo& address, ByteSpan request,
                   const std::function<bool(ByteSpan)>& is_answer,
                   std::chrono::milliseconds timeout) {
    const Socket socket(::socket(address.ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    // Connected: an ICMP "port unreachable" then ends the wait.
    if (socket.get() < 0 || ::connect(socket.get(), address.ai_addr, address.ai_addrlen) != 0) {
        return make_error(ErrorCode::kUnavailable, std::strerror(errno));
    }
    for (int sending = 0; sending < kSendings; ++sending) {
        if (::send(socket.get(), request.data(), request.size(), 0) < 0) {
            return make_error(ErrorCode::kUnavailable, std::strerror(errno));
        }
        pollfd wait{socket.get(), POLLIN, 0};
        if (::poll(&wait, 1, static_cast<int>(timeout.count()) / kSendings) <= 0) continue;
        std::array<std::uint8_t, kMaxDatagramBytes> answer{};
        const ssize_t size = ::recv(socket.get(), answer.data(), answer.size(), 0);
        if (size < 0) return make_error(ErrorCode::kUnavailable, std::strerror(errno));
        if (is_answer(ByteSpan(answer).first(static_cast<std::size_t>(size)))) return {};
    }
    return make_error(ErrorCode::kTimeout, "no answer");
}

}  // namespace

Status udp_exchange(const std::string& host, const std::string& port, ByteSpan request,
                    const std::function<bool(ByteSpan)>& is_answer,
                    std::chrono::milliseconds timeout) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_DGRAM;
    addrinfo* found = nullptr;
    if (const int code = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found); code != 0) {
        return make_error(ErrorCode::kUnavailable, ::gai_strerror(code));
    }
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, ::freeaddrinfo);
    Status status = make_error(ErrorCode::kUnavailable, "no address");
    for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
        status = ask_address(*address, request, is_answer, timeout);
        if (status) return status;
    }
    return status;
}

}  // namespace kollator::app
