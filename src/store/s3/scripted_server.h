#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace kollator::store::s3 {

/// For tests. An HTTP server that says what the test wants: the handler gives the raw bytes of each
/// answer. The connection ends after an answer with "Connection: close", and before one that is
/// kHangUp; it hangs at an empty one.
class ScriptedServer {
 public:
    static constexpr const char* kHangUp = "hang up";
    using Handler = std::function<std::string(const std::string& request)>;

    ScriptedServer() {
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        auto* const raw = reinterpret_cast<sockaddr*>(&address);
        socklen_t length = sizeof(address);
        EXPECT_EQ(::bind(listener_, raw, length), 0);
        EXPECT_EQ(::listen(listener_, 64), 0);
        EXPECT_EQ(::getsockname(listener_, raw, &length), 0);
        port_ = ntohs(address.sin_port);
        acceptor_ = std::thread([this] { accept_all(); });
    }
    ~ScriptedServer() { stop(); }

    void stop() {
        if (listener_ < 0) return;
        ::shutdown(listener_, SHUT_RDWR);
        acceptor_.join();
        ::close(listener_);
        listener_ = -1;
        for (const int connection : connections_) ::shutdown(connection, SHUT_RDWR);
        for (auto& thread : threads_) thread.join();
        for (const int connection : connections_) ::close(connection);
    }
    void answer(Handler handler) {
        const std::lock_guard lock(mutex_);
        handler_ = std::move(handler);
    }
    std::vector<std::string> requests() {
        const std::lock_guard lock(mutex_);
        return requests_;
    }
    int connections() const { return connection_count_; }
    std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

 private:
    void accept_all() {
        while (true) {
            const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
            if (connection < 0) return;
            ++connection_count_;
            connections_.push_back(connection);
            threads_.emplace_back([this, connection] { serve(connection); });
        }
    }
    static std::size_t body_bytes(const std::string& head) {
        const std::size_t at = head.find("Content-Length: ");
        return at == std::string::npos ? 0 : std::stoul(head.substr(at + 16));
    }
    void serve(int connection) {
        std::string input;
        std::vector<char> piece(65'536);
        while (true) {
            const std::size_t end = input.find("\r\n\r\n");
            const std::string head = input.substr(0, end == std::string::npos ? 0 : end + 4);
            if (!head.empty() && input.size() >= head.size() + body_bytes(head)) {
                input.erase(0, head.size() + body_bytes(head));
                if (!reply(connection, head)) return;
                continue;
            }
            const ssize_t count = ::recv(connection, piece.data(), piece.size(), 0);
            if (count <= 0) return;
            input.append(piece.data(), static_cast<std::size_t>(count));
        }
    }
    bool reply(int connection, const std::string& head) {
        std::string text;
        {
            const std::lock_guard lock(mutex_);
            requests_.push_back(head);
            text = handler_(head);
        }
        if (text == kHangUp) {
            ::shutdown(connection, SHUT_RDWR);
            return false;
        }
        (void)::send(connection, text.data(), text.size(), MSG_NOSIGNAL);
        if (text.find("Connection: close") == std::string::npos) return true;
        ::shutdown(connection, SHUT_RDWR);
        return false;
    }

    int listener_ = -1;
    int port_ = 0;
    std::thread acceptor_;
    std::vector<std::thread> threads_;  // the acceptor's until it ended
    std::vector<int> connections_;
    std::atomic<int> connection_count_{0};
    std::mutex mutex_;
    Handler handler_;
    std::vector<std::string> requests_;
};

}  // namespace kollator::store::s3
