#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

#include "http/message.h"

namespace kollator::testing {

struct RawResponse {
    int status = 0;                              ///< 0: none came
    std::map<std::string, std::string> headers;  ///< names in lowercase
    std::string body;

    std::string header(const std::string& name) const {
        const auto found = headers.find(name);
        return found != headers.end() ? found->second : "";
    }
};

/// A blocking client on loopback that sends exactly what it is told, right or wrong. A read that
/// takes over 20 s gives nothing.
class RawHttpClient {
 public:
    explicit RawHttpClient(std::uint16_t port, int receive_buffer_bytes = 0) {
        socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const timeval timeout{.tv_sec = 20, .tv_usec = 0};
        ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
        ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
        if (receive_buffer_bytes > 0) {
            ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes,
                         sizeof receive_buffer_bytes);
        }
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        connected_ =
            ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    }
    ~RawHttpClient() { close(); }
    RawHttpClient(const RawHttpClient&) = delete;
    RawHttpClient& operator=(const RawHttpClient&) = delete;

    bool connected() const { return connected_; }
    int descriptor() const { return socket_; }

    void close() {
        if (socket_ >= 0) ::close(socket_);
        socket_ = -1;
    }

    bool send(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0) return false;
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
        return true;
    }

    /// A whole request with Host and, where there is a body, Content-Length.
    bool request(const std::string& method, const std::string& target, const std::string& body = "",
                 const std::string& more_headers = "") {
        std::string text =
            method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n" + more_headers;
        if (!body.empty()) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
        return send(text + "\r\n" + body);
    }

    RawResponse read_response(bool has_body = true) {
        std::size_t end = std::string::npos;
        while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
            if (!receive()) return {};
        }
        RawResponse response = parse_header(buffer_.substr(0, end));
        buffer_.erase(0, end + 4);
        const std::string length = response.header("content-length");
        if (!has_body || length.empty()) return response;
        const auto size = static_cast<std::size_t>(std::strtoul(length.c_str(), nullptr, 10));
        while (buffer_.size() < size) {
            if (!receive()) return {};
        }
        response.body = buffer_.substr(0, size);
        buffer_.erase(0, size);
        return response;
    }

    RawResponse exchange(const std::string& method, const std::string& target,
                         const std::string& body = "", const std::string& more_headers = "") {
        request(method, target, body, more_headers);
        return read_response(method != "HEAD");
    }

    /// True when the server has ended the connection and nothing more came.
    bool at_end() {
        if (!buffer_.empty()) return false;
        char byte = 0;
        const ssize_t got = ::recv(socket_, &byte, 1, 0);
        if (got > 0) buffer_.push_back(byte);
        return got == 0 || (got < 0 && errno == ECONNRESET);
    }

 private:
    bool receive() {
        char bytes[16 * 1024];
        const ssize_t got = ::recv(socket_, bytes, sizeof bytes, 0);
        if (got <= 0) return false;
        buffer_.append(bytes, static_cast<std::size_t>(got));
        return true;
    }

    static RawResponse parse_header(const std::string& text) {
        RawResponse response;
        response.status = std::atoi(text.c_str() + std::string_view("HTTP/1.1 ").size());
        std::size_t begin = text.find("\r\n");
        while (begin != std::string::npos) {
            begin += 2;
            const std::size_t end = text.find("\r\n", begin);
            const std::string line = text.substr(begin, end - begin);
            const std::size_t colon = line.find(':');
            if (colon != std::string::npos) {
                std::string name = line.substr(0, colon);
                for (char& c : name) c = static_cast<char>(std::tolower(c));
                response.headers[name] = line.substr(line.find_first_not_of(' ', colon + 1));
            }
            begin = end;
        }
        return response;
    }

    int socket_ = -1;
    bool connected_ = false;
    std::string buffer_;
};

}  // namespace kollator::testing
