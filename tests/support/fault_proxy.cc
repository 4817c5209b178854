#include "tests/support/fault_proxy.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <optional>
#include <utility>
#include <vector>

#include "base/check.h"

namespace kollator::testing {
namespace {

constexpr auto kDelay = std::chrono::milliseconds(200);
constexpr auto kDripInterval = std::chrono::milliseconds(20);
constexpr std::size_t kReadBytes = 256 << 10;

sockaddr_in loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    return address;
}

void set_no_delay(int socket) {
    const int on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/// The next close() sends RST.
void make_reset(int socket) {
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

bool send_all(int socket, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
}

/// Reads until `done` says that `input` holds enough; false at the connection's end.
bool read_until(int socket, std::string& input, const std::function<bool()>& done) {
    std::vector<char> piece(kReadBytes);
    while (!done()) {
        const ssize_t count = ::recv(socket, piece.data(), piece.size(), 0);
        if (count <= 0) return false;
        input.append(piece.data(), static_cast<std::size_t>(count));
    }
    return true;
}

std::optional<std::string> header(const std::string& head, std::string_view name) {
    std::string lower(head);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const std::size_t at = lower.find("\r\n" + std::string(name) + ":");
    if (at == std::string::npos) return std::nullopt;
    const std::size_t begin = head.find_first_not_of(' ', at + name.size() + 3);
    return head.substr(begin, head.find("\r\n", begin) - begin);
}

struct Message {
    std::string head;  ///< with its empty line
    std::string body;
    std::string whole() const { return head + body; }
};

std::string answer(std::string_view status, std::string_view body, std::string_view headers = {}) {
    std::string out = "HTTP/1.1 ";
    out.append(status).append("\r\nContent-Length: ").append(std::to_string(body.size()));
    return out.append("\r\n").append(headers).append("\r\n").append(body);
}

std::string error(std::string_view status, std::string_view code, std::string_view headers = {}) {
    return answer(status, "<Error><Code>" + std::string(code) + "</Code></Error>", headers);
}

std::string date_header(std::chrono::seconds off) {
    const std::time_t time =
        std::chrono::system_clock::to_time_t(std::chrono::system_clock::now() + off);
    std::tm utc{};
    ::gmtime_r(&time, &utc);
    char text[64];
    std::strftime(text, sizeof text, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &utc);
    return text;
}

/// What takes the store's place; empty where the store is asked.
std::string scripted_answer(StoreFault fault) {
    switch (fault) {
        case StoreFault::kEmpty200:
            return answer("200 OK", "");
        case StoreFault::kHtml200:
            return answer("200 OK", "<html>Please log in</html>");
        case StoreFault::kRedirect307:
            return answer("307 Temporary Redirect", "", "Location: http://127.0.0.1:9/\r\n");
        case StoreFault::kInternalError500:
            return error("500 Internal Server Error", "InternalError");
        case StoreFault::kGarbageXml500:
            return answer("500 Internal Server Error",
                          "<Error><Code>Slow</Error>\x01&#xFFFFFFF;<<");
        case StoreFault::kBadGateway502:
            return answer("502 Bad Gateway", "<html>nginx</html>");
        case StoreFault::kGatewayTimeout504:
            return answer("504 Gateway Timeout", "");
        case StoreFault::kTooSkewed403:
            return error("403 Forbidden", "RequestTimeTooSkewed", date_header({}));
        case StoreFault::kTooSkewedWrongDate403:
            return error("403 Forbidden", "RequestTimeTooSkewed",
                         date_header(std::chrono::hours(24)));
        case StoreFault::kAccessDenied403:
            return error("403 Forbidden", "AccessDenied");
        case StoreFault::kNoSuchBucket404:
            return error("404 Not Found", "NoSuchBucket");
        case StoreFault::kHtml404:
            return answer("404 Not Found", "<html>nothing here</html>");
        case StoreFault::kHtml412:
            return answer("412 Precondition Failed", "<html>no</html>");
        case StoreFault::kSlowDown503:
            return error("503 Slow Down", "SlowDown");
        case StoreFault::kBare503:
        case StoreFault::kEarly503:
            return answer("503 Service Unavailable", "");
        case StoreFault::kTooMany429:
            return answer("429 Too Many Requests", "");
        case StoreFault::kRateLimit400:
            return error("400 Bad Request", "RequestRateLimitExceeded");
        default:
            return "";
    }
}

int port_of(const std::string& endpoint) {
    const std::size_t colon = endpoint.rfind(':');
    KOLLATOR_CHECK(endpoint.starts_with("http://127.0.0.1:"));
    return std::stoi(endpoint.substr(colon + 1));
}

}  // namespace

std::string_view name_of(StoreFault fault) {
    static constexpr std::string_view kNames[] = {"None",
                                                  "Reset",
                                                  "ResetInUpload",
                                                  "ResetBeforeAnswer",
                                                  "ResetInAnswer",
                                                  "Truncate",
                                                  "Delay",
                                                  "Stall",
                                                  "StallInAnswer",
                                                  "Drip",
                                                  "FlipByte",
                                                  "LengthTooLong",
                                                  "LengthTooShort",
                                                  "ChunkedGarbage",
                                                  "Empty200",
                                                  "Html200",
                                                  "Redirect307",
                                                  "InternalError500",
                                                  "GarbageXml500",
                                                  "BadGateway502",
                                                  "GatewayTimeout504",
                                                  "TooSkewed403",
                                                  "TooSkewedWrongDate403",
                                                  "AccessDenied403",
                                                  "NoSuchBucket404",
                                                  "Html404",
                                                  "Html412",
                                                  "NoHttp",
                                                  "SlowDown503",
                                                  "Bare503",
                                                  "Early503",
                                                  "TooMany429",
                                                  "RateLimit400"};
    static_assert(std::size(kNames) == static_cast<std::size_t>(kLastFault) + 1);
    return kNames[static_cast<std::size_t>(fault)];
}

/// One client's connection and its own one to the store.
class FaultProxy::Conversation {
 public:
    Conversation(FaultProxy& proxy, int client) : proxy_(proxy), client_(client) {}
    ~Conversation() {
        if (upstream_ >= 0) ::close(upstream_);
    }

    void run() {
        while (serve_one()) {
        }
    }

 private:
    bool serve_one() {
        if (!read_until(client_, input_, [&] { return input_.find("\r\n\r\n") != input_.npos; })) {
            return false;
        }
        Message request;
        request.head = input_.substr(0, input_.find("\r\n\r\n") + 4);
        input_.erase(0, request.head.size());
        const std::size_t space = request.head.find(' ');
        method_ = request.head.substr(0, space);
        const std::string path =
            request.head.substr(space + 1, request.head.find(' ', space + 1) - space - 1);
        ++proxy_.requests_;
        const StoreFault fault = proxy_.fault_for(method_, path);
        if (fault == StoreFault::kReset) return reset();
        if (fault == StoreFault::kEarly503) {
            send_all(client_, scripted_answer(fault));
            return false;
        }
        const std::size_t length = std::stoul(header(request.head, "content-length").value_or("0"));
        const std::size_t wanted = fault == StoreFault::kResetInUpload ? length / 2 : length;
        if (!read_until(client_, input_, [&] { return input_.size() >= wanted; })) return false;
        if (fault == StoreFault::kResetInUpload) return reset();
        request.body = input_.substr(0, length);
        input_.erase(0, length);
        return respond(std::move(request), fault);
    }

    bool respond(Message request, StoreFault fault) {
        if (fault == StoreFault::kStall) return wait_for_end();
        if (fault == StoreFault::kNoHttp) {
            send_all(client_, "SSH-2.0-OpenSSH_9.2\r\n");
            return false;
        }
        if (const std::string scripted = scripted_answer(fault); !scripted.empty()) {
            return send_all(client_, scripted);
        }
        if (fault == StoreFault::kFlipByte && !request.body.empty()) flip(request.body);
        auto got = ask_store(request);
        if (!got) return send_all(client_, answer("502 Bad Gateway", "")) && false;
        return relay(std::move(*got), fault);
    }

    bool relay(Message got, StoreFault fault) {
        const std::string whole = got.whole();
        const std::size_t half =
            got.body.empty() ? got.head.size() / 2 : got.head.size() + got.body.size() / 2;
        switch (fault) {
            case StoreFault::kResetBeforeAnswer:
                return reset();
            case StoreFault::kResetInAnswer:
                send_all(client_, std::string_view(whole).substr(0, half));
                return reset();
            case StoreFault::kTruncate:
                send_all(client_, std::string_view(whole).substr(0, half));
                return false;
            case StoreFault::kDelay:
                std::this_thread::sleep_for(kDelay);
                break;
            case StoreFault::kStallInAnswer:
                send_all(client_, std::string_view(whole).substr(0, half));
                return wait_for_end();
            case StoreFault::kDrip:
                return drip(whole);
            case StoreFault::kFlipByte:
                if (method_ == "GET" && !got.body.empty()) flip(got.body);
                return send_all(client_, got.whole());
            case StoreFault::kLengthTooLong:
                return send_with_length(got, got.body.size() + 10);
            case StoreFault::kLengthTooShort:
                return send_with_length(
                    got, got.body.size() - std::min<std::size_t>(got.body.size(), 10));
            case StoreFault::kChunkedGarbage:
                send_all(client_,
                         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nnonsense");
                return false;
            default:
                break;
        }
        return send_all(client_, whole);
    }

    bool send_with_length(Message got, std::size_t length) {
        const std::size_t at = got.head.find("Content-Length:");
        if (at != got.head.npos) {
            got.head.replace(at, got.head.find("\r\n", at) - at,
                             "Content-Length: " + std::to_string(length));
        }
        send_all(client_, got.whole());
        return false;
    }

    bool drip(const std::string& whole) {
        for (const char c : whole) {
            if (!send_all(client_, {&c, 1})) return false;
            std::this_thread::sleep_for(kDripInterval);
        }
        return true;
    }

    static void flip(std::string& body) {
        char& victim = body[body.size() / 3];
        victim = static_cast<char>(victim ^ 0x20);
    }

    /// Until the client has had enough.
    bool wait_for_end() {
        char ignored;
        while (::recv(client_, &ignored, 1, 0) > 0) {
        }
        return false;
    }

    bool reset() {
        make_reset(client_);
        return false;
    }

    std::optional<Message> ask_store(const Message& request) {
        // A kept connection may have died meanwhile.
        for (int attempt = 0; attempt < 2; ++attempt) {
            if (upstream_ < 0 && !connect_upstream()) return std::nullopt;
            if (send_all(upstream_, request.whole())) {
                if (auto got = read_answer()) return got;
            }
            ::close(std::exchange(upstream_, -1));
        }
        return std::nullopt;
    }

    bool connect_upstream() {
        upstream_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const sockaddr_in address = loopback(proxy_.upstream_port_);
        set_no_delay(upstream_);
        if (::connect(upstream_, reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
            0) {
            return true;
        }
        ::close(std::exchange(upstream_, -1));
        return false;
    }

    std::optional<Message> read_answer() {
        std::string in;
        if (!read_until(upstream_, in, [&] { return in.find("\r\n\r\n") != in.npos; })) {
            return std::nullopt;
        }
        Message got;
        got.head = in.substr(0, in.find("\r\n\r\n") + 4);
        in.erase(0, got.head.size());
        if (method_ != "HEAD") {
            const auto length = header(got.head, "content-length");
            const bool whole =
                length ? read_until(upstream_, in, [&] { return in.size() >= std::stoul(*length); })
                       : read_until(upstream_, in, [&] { return in.ends_with("0\r\n\r\n"); });
            if (!whole) return std::nullopt;
        }
        got.body = std::move(in);
        return got;
    }

    FaultProxy& proxy_;
    const int client_;
    int upstream_ = -1;
    std::string input_;
    std::string method_;
};

FaultProxy::FaultProxy(const std::string& upstream) : upstream_port_(port_of(upstream)) {
    listen();
}

FaultProxy::~FaultProxy() {
    down();
}

std::string FaultProxy::endpoint() const {
    return "http://127.0.0.1:" + std::to_string(port_);
}

void FaultProxy::set_plan(Plan plan) {
    const std::lock_guard lock(mutex_);
    plan_ = std::move(plan);
}

StoreFault FaultProxy::fault_for(const std::string& method, const std::string& path) {
    Plan plan;
    {
        const std::lock_guard lock(mutex_);
        plan = plan_;
    }
    return plan ? plan(method, path) : StoreFault::kNone;
}

void FaultProxy::listen() {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address = loopback(port_);
    auto* const raw = reinterpret_cast<sockaddr*>(&address);
    socklen_t length = sizeof address;
    KOLLATOR_CHECK(::bind(listener_, raw, length) == 0);
    KOLLATOR_CHECK(::listen(listener_, 256) == 0);
    KOLLATOR_CHECK(::getsockname(listener_, raw, &length) == 0);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this, listener = listener_] { accept_all(listener); });
}

void FaultProxy::accept_all(int listener) {
    while (true) {
        const int client = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        if (client < 0) return;
        set_no_delay(client);
        const std::lock_guard lock(mutex_);
        if (down_) {
            make_reset(client);
            ::close(client);
            continue;
        }
        sockets_.insert(client);
        ++threads_;
        // Detached: thousands of ended ones would keep their stacks until they are joined.
        std::thread([this, client] {
            Conversation(*this, client).run();
            const std::lock_guard end_lock(mutex_);
            sockets_.erase(client);
            ::close(client);
            --threads_;
            ended_.notify_all();
        }).detach();
    }
}

void FaultProxy::down() {
    std::unique_lock lock(mutex_);
    if (down_) return;
    down_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    for (const int client : sockets_) {
        make_reset(client);
        ::shutdown(client, SHUT_RDWR);
    }
    ended_.wait(lock, [this] { return threads_ == 0; });
    lock.unlock();
    acceptor_.join();
    ::close(listener_);
}

void FaultProxy::up() {
    const std::lock_guard lock(mutex_);
    if (!down_) return;
    down_ = false;
    listen();
}

}  // namespace kollator::testing
