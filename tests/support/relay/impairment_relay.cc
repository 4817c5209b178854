// A UDP relay that makes a network worse, in user space: delay, loss, reordering, a bottleneck with
// a queue. Each client gets an upstream socket of its own, so that the server sees as many
// addresses as there are clients.
//
//   impairment_relay --to 127.0.0.1:8081 [--listen 127.0.0.1:0] [--delay-ms 25] [--loss 0.01]
//                    [--reorder 0.01] [--rate-mbit 100] [--queue-kb 1000] [--seed 1]
//
// `delay-ms` is of one way, `loss` and `reorder` are shares of the packets of each way, `rate-mbit`
// (0: no bottleneck) and `queue-kb` are of each way. Prints one line, "port <number>", then relays
// until SIGTERM or the end of stdin, and prints what it counted. A line "rebind" on stdin gives
// each client another source address towards the server, as a NAT does that has forgotten it.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <queue>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;
using std::chrono::nanoseconds;

constexpr std::size_t kMaxDatagramBytes = 2048;
constexpr std::size_t kBatch = 64;
constexpr std::size_t kMaxClients = 4096;
constexpr int kSocketBufferBytes = 8 * 1024 * 1024;
constexpr nanoseconds kReorderDelay = std::chrono::milliseconds(3);

struct Options {
    sockaddr_in listen{};
    sockaddr_in to{};
    nanoseconds delay{0};
    double loss = 0;
    double reorder = 0;
    double rate_bytes_per_second = 0;
    std::size_t queue_bytes = 1000 * 1000;
    std::uint64_t seed = 1;
};

[[noreturn]] void fail(const std::string& what) {
    std::fprintf(stderr, "impairment_relay: %s\n", what.c_str());
    std::exit(2);
}

sockaddr_in parse_address(const std::string& text) {
    const std::size_t colon = text.rfind(':');
    sockaddr_in address{};
    address.sin_family = AF_INET;
    if (colon == std::string::npos ||
        ::inet_pton(AF_INET, text.substr(0, colon).c_str(), &address.sin_addr) != 1) {
        fail("expected <IPv4 address>:<port>, got " + text);
    }
    address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(text.c_str() + colon + 1)));
    return address;
}

Options parse_options(int count, char** arguments) {
    Options options;
    options.listen = parse_address("127.0.0.1:0");
    for (int i = 1; i + 1 < count; i += 2) {
        const std::string_view name = arguments[i];
        const std::string value = arguments[i + 1];
        const double number = std::atof(value.c_str());
        if (name == "--listen") {
            options.listen = parse_address(value);
        } else if (name == "--to") {
            options.to = parse_address(value);
        } else if (name == "--delay-ms") {
            options.delay = nanoseconds(static_cast<std::int64_t>(number * 1e6));
        } else if (name == "--loss") {
            options.loss = number;
        } else if (name == "--reorder") {
            options.reorder = number;
        } else if (name == "--rate-mbit") {
            options.rate_bytes_per_second = number * 1e6 / 8;
        } else if (name == "--queue-kb") {
            options.queue_bytes = static_cast<std::size_t>(number * 1000);
        } else if (name == "--seed") {
            options.seed = static_cast<std::uint64_t>(number);
        } else {
            fail("unknown option " + std::string(name));
        }
    }
    if (options.to.sin_port == 0) fail("--to is needed");
    return options;
}

int open_socket(const sockaddr_in* bind_to, const sockaddr_in* connect_to) {
    const int descriptor = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) fail(std::string("socket: ") + std::strerror(errno));
    for (const int option : {SO_RCVBUF, SO_SNDBUF}) {
        // The FORCE forms pass rmem_max and need CAP_NET_ADMIN; the plain ones are the fallback.
        const int force = option == SO_RCVBUF ? SO_RCVBUFFORCE : SO_SNDBUFFORCE;
        const int size = kSocketBufferBytes;
        if (::setsockopt(descriptor, SOL_SOCKET, force, &size, sizeof size) != 0) {
            (void)::setsockopt(descriptor, SOL_SOCKET, option, &size, sizeof size);
        }
    }
    const auto* raw_bind = reinterpret_cast<const sockaddr*>(bind_to);
    if (bind_to != nullptr && ::bind(descriptor, raw_bind, sizeof *bind_to) != 0) {
        fail(std::string("bind: ") + std::strerror(errno));
    }
    const auto* raw_connect = reinterpret_cast<const sockaddr*>(connect_to);
    if (connect_to != nullptr && ::connect(descriptor, raw_connect, sizeof *connect_to) != 0) {
        fail(std::string("connect: ") + std::strerror(errno));
    }
    return descriptor;
}

/// xorshift64*: seeded, so that a run can be repeated.
class Dice {
 public:
    explicit Dice(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ULL + 1) {}
    bool roll(double share) {
        state_ ^= state_ >> 12;
        state_ ^= state_ << 25;
        state_ ^= state_ >> 27;
        const std::uint64_t bits = (state_ * 0x2545f4914f6cdd1dULL) >> 11;
        return static_cast<double>(bits) / static_cast<double>(1ULL << 53) < share;
    }

 private:
    std::uint64_t state_;
};

struct Client {
    sockaddr_in address{};
    int upstream = -1;
};

struct Packet {
    Time due;
    std::uint64_t order;  // keeps packets that are due together in the order they came
    const Client* client;
    std::vector<std::uint8_t> bytes;
};

struct Later {
    bool operator()(const std::unique_ptr<Packet>& a, const std::unique_ptr<Packet>& b) const {
        return a->due != b->due ? a->due > b->due : a->order > b->order;
    }
};

/// One direction: loss, then the bottleneck's queue, then the delay.
class Pipe {
 public:
    Pipe(const Options& options, std::uint64_t seed) : options_(options), dice_(seed) {}

    void push(const Client& client, const std::uint8_t* data, std::size_t size, Time now) {
        ++received_;
        if (dice_.roll(options_.loss)) return;
        Time leaves = now;
        if (options_.rate_bytes_per_second > 0) {
            if (free_at_ < now) free_at_ = now;
            const double backlog_bytes = std::chrono::duration<double>(free_at_ - now).count() *
                                         options_.rate_bytes_per_second;
            if (backlog_bytes > static_cast<double>(options_.queue_bytes)) {
                ++overflowed_;
                return;
            }
            const double seconds = static_cast<double>(size) / options_.rate_bytes_per_second;
            free_at_ += nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
            leaves = free_at_;
        }
        Time due = leaves + options_.delay;
        if (dice_.roll(options_.reorder)) due += kReorderDelay;
        queue_.push(std::make_unique<Packet>(
            Packet{due, ++order_, &client, std::vector<std::uint8_t>(data, data + size)}));
    }

    template <typename Send>
    void drain(Time now, Send send) {
        while (!queue_.empty() && queue_.top()->due <= now) {
            if (!send(*queue_.top())) return;  // the socket is full: try again soon
            ++sent_;
            queue_.pop();
        }
    }

    /// Milliseconds until something is due; -1: nothing is.
    int wait_ms(Time now) const {
        if (queue_.empty()) return -1;
        const auto left = queue_.top()->due - now;
        if (left <= nanoseconds(0)) return 0;
        return static_cast<int>(
            std::chrono::ceil<std::chrono::milliseconds>(left - std::chrono::microseconds(500))
                .count());
    }

    void print(const char* name) const {
        std::printf("%s received %llu sent %llu overflowed %llu\n", name,
                    static_cast<unsigned long long>(received_),
                    static_cast<unsigned long long>(sent_),
                    static_cast<unsigned long long>(overflowed_));
    }

 private:
    const Options& options_;
    Dice dice_;
    std::priority_queue<std::unique_ptr<Packet>, std::vector<std::unique_ptr<Packet>>, Later>
        queue_;
    Time free_at_{};
    std::uint64_t order_ = 0;
    std::uint64_t received_ = 0;
    std::uint64_t sent_ = 0;
    std::uint64_t overflowed_ = 0;
};

class Relay {
 public:
    explicit Relay(const Options& options)
        : options_(options),
          socket_(open_socket(&options.listen, nullptr)),
          up_(options, options.seed),
          down_(options, options.seed + 1) {
        storage_.resize(kBatch * kMaxDatagramBytes);
    }

    std::uint16_t port() const {
        sockaddr_in bound{};
        socklen_t length = sizeof bound;
        ::getsockname(socket_, reinterpret_cast<sockaddr*>(&bound), &length);
        return ntohs(bound.sin_port);
    }

    void run() {
        while (true) {
            const Time now = Clock::now();
            std::vector<pollfd> waits{{STDIN_FILENO, POLLIN, 0}, {socket_, POLLIN, 0}};
            for (const Client* const client : order_)
                waits.push_back({client->upstream, POLLIN, 0});
            const int up_ms = up_.wait_ms(now);
            const int down_ms = down_.wait_ms(now);
            const int wait_ms = up_ms < 0     ? down_ms
                                : down_ms < 0 ? up_ms
                                              : std::min(up_ms, down_ms);
            if (::poll(waits.data(), waits.size(), wait_ms) < 0 && errno != EINTR) return;
            if ((waits[0].revents & (POLLHUP | POLLERR)) != 0) return;
            if ((waits[0].revents & POLLIN) != 0) {
                if (!read_stdin()) return;
                continue;  // sockets may be others now
            }
            if ((waits[1].revents & POLLIN) != 0) read_clients();
            for (std::size_t i = 2; i < waits.size(); ++i) {
                if ((waits[i].revents & POLLIN) != 0) read_server(*order_[i - 2]);
            }
            send_due();
        }
    }

    void print() const {
        up_.print("up");
        down_.print("down");
    }

 private:
    /// False at its end.
    bool read_stdin() {
        std::array<char, 256> text;
        const ssize_t size = ::read(STDIN_FILENO, text.data(), text.size());
        if (size <= 0) return false;
        const std::string_view said(text.data(), static_cast<std::size_t>(size));
        if (said.find("rebind") != std::string_view::npos) rebind();
        return true;
    }

    void rebind() {
        for (Client* client : order_) {
            // The new one first, or it could get the old one's port.
            const int upstream = open_socket(nullptr, &options_.to);
            ::close(client->upstream);
            client->upstream = upstream;
        }
    }

    /// Reads one batch; gives the number of datagrams, which `headers_` describes.
    int read_batch(int descriptor) {
        for (std::size_t i = 0; i < kBatch; ++i) {
            vectors_[i] = {storage_.data() + i * kMaxDatagramBytes, kMaxDatagramBytes};
            headers_[i] = {};
            headers_[i].msg_hdr.msg_iov = &vectors_[i];
            headers_[i].msg_hdr.msg_iovlen = 1;
            headers_[i].msg_hdr.msg_name = &names_[i];
            headers_[i].msg_hdr.msg_namelen = sizeof names_[i];
        }
        return ::recvmmsg(descriptor, headers_.data(), kBatch, 0, nullptr);
    }

    void read_clients() {
        const int count = read_batch(socket_);
        const Time now = Clock::now();
        for (int i = 0; i < count; ++i) {
            const auto at = static_cast<std::size_t>(i);
            const Client* client = client_of(names_[at]);
            if (client == nullptr) continue;
            up_.push(*client, storage_.data() + at * kMaxDatagramBytes, headers_[at].msg_len, now);
        }
    }

    void read_server(const Client& client) {
        const int count = read_batch(client.upstream);
        const Time now = Clock::now();
        for (int i = 0; i < count; ++i) {
            const auto at = static_cast<std::size_t>(i);
            down_.push(client, storage_.data() + at * kMaxDatagramBytes, headers_[at].msg_len, now);
        }
    }

    const Client* client_of(const sockaddr_in& address) {
        const auto key = std::pair(address.sin_addr.s_addr, address.sin_port);
        const auto found = clients_.find(key);
        if (found != clients_.end()) return &found->second;
        if (clients_.size() >= kMaxClients) return nullptr;
        Client& client = clients_[key];
        client.address = address;
        client.upstream = open_socket(nullptr, &options_.to);
        order_.push_back(&client);
        return &client;
    }

    void send_due() {
        const Time now = Clock::now();
        const auto is_full = [](ssize_t sent) { return sent < 0 && errno == EAGAIN; };
        up_.drain(now, [&](const Packet& packet) {
            return !is_full(
                ::send(packet.client->upstream, packet.bytes.data(), packet.bytes.size(), 0));
        });
        down_.drain(now, [&](const Packet& packet) {
            return !is_full(::sendto(socket_, packet.bytes.data(), packet.bytes.size(), 0,
                                     reinterpret_cast<const sockaddr*>(&packet.client->address),
                                     sizeof packet.client->address));
        });
    }

    const Options& options_;
    const int socket_;
    Pipe up_;
    Pipe down_;
    std::map<std::pair<std::uint32_t, std::uint16_t>, Client> clients_;
    std::vector<Client*> order_;
    std::vector<std::uint8_t> storage_;
    std::array<iovec, kBatch> vectors_{};
    std::array<mmsghdr, kBatch> headers_{};
    std::array<sockaddr_in, kBatch> names_{};
};

}  // namespace

int main(int count, char** arguments) {
    const Options options = parse_options(count, arguments);
    Relay relay(options);
    std::printf("port %d\n", relay.port());
    std::fflush(stdout);
    relay.run();
    relay.print();
    return 0;
}
