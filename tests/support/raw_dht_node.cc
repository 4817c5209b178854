#include "tests/support/raw_dht_node.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <optional>
#include <utility>

#include "base/check.h"
#include "crypto/bencode.h"
#include "crypto/hash.h"

namespace kollator::testing {
namespace {

namespace bencode = crypto::bencode;
using dht::Endpoint;

sockaddr_storage to_system(const Endpoint& at, socklen_t& size) {
    sockaddr_storage storage{};
    if (at.v6) {
        sockaddr_in6 address{};
        address.sin6_family = AF_INET6;
        address.sin6_port = htons(at.port);
        std::memcpy(&address.sin6_addr, at.address.data(), 16);
        std::memcpy(&storage, &address, size = sizeof address);
    } else {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(at.port);
        std::memcpy(&address.sin_addr, at.address.data(), 4);
        std::memcpy(&storage, &address, size = sizeof address);
    }
    return storage;
}

Endpoint from_system(const sockaddr_storage& storage) {
    Endpoint at;
    if (storage.ss_family == AF_INET6) {
        sockaddr_in6 address{};
        std::memcpy(&address, &storage, sizeof address);
        at.v6 = true;
        at.port = ntohs(address.sin6_port);
        std::memcpy(at.address.data(), &address.sin6_addr, 16);
    } else {
        sockaddr_in address{};
        std::memcpy(&address, &storage, sizeof address);
        at.port = ntohs(address.sin_port);
        std::memcpy(at.address.data(), &address.sin_addr, 4);
    }
    return at;
}

int open_socket(const std::string& address, Endpoint& at) {
    const auto wanted = Endpoint::from_text(address, 0);
    KOLLATOR_CHECK(wanted.has_value());
    const int socket =
        ::socket(wanted->v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    KOLLATOR_CHECK(socket >= 0);
    socklen_t size = 0;
    sockaddr_storage name = to_system(*wanted, size);
    KOLLATOR_CHECK(::bind(socket, reinterpret_cast<const sockaddr*>(&name), size) == 0);
    KOLLATOR_CHECK(::getsockname(socket, reinterpret_cast<sockaddr*>(&name), &size) == 0);
    at = from_system(name);
    return socket;
}

std::string text(std::string_view bytes) {
    return std::to_string(bytes.size()) + ":" + std::string(bytes);
}

std::string compact(const Endpoint& at) {
    std::string bytes(at.v6 ? Endpoint::kCompactV6 : Endpoint::kCompactV4, '\0');
    at.to_compact({reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()});
    return bytes;
}

}  // namespace

RawDhtNode::RawDhtNode(EventLoop& loop, const std::string& address)
    : socket_(open_socket(address, at_)), watch_(std::make_unique<FdWatch>(loop, socket_)) {
    id_ = dht::NodeId(crypto::sha1(as_bytes(at_.text())));
    watch_->on_readable([this] { read(); });
}

RawDhtNode::~RawDhtNode() {
    watch_.reset();
    ::close(socket_);
}

void RawDhtNode::send(const Endpoint& to, const std::string& packet) {
    socklen_t size = 0;
    const sockaddr_storage name = to_system(to, size);
    (void)::sendto(socket_, packet.data(), packet.size(), 0,
                   reinterpret_cast<const sockaddr*>(&name), size);
}

void RawDhtNode::ping(const Endpoint& to) {
    send(to, "d1:ad2:id" + text(as_text(id_.span())) + "e1:q4:ping1:t2:pi1:y1:qe");
}

void RawDhtNode::read() {
    std::array<std::uint8_t, 2048> buffer{};
    for (;;) {
        sockaddr_storage name{};
        socklen_t size = sizeof name;
        const ssize_t count = ::recvfrom(socket_, buffer.data(), buffer.size(), 0,
                                         reinterpret_cast<sockaddr*>(&name), &size);
        if (count < 0) return;
        take({buffer.data(), static_cast<std::size_t>(count)}, from_system(name));
    }
}

void RawDhtNode::take(ByteSpan packet, const Endpoint& from) {
    const auto message = bencode::parse(packet);
    if (!message) return;
    const auto text_in = [](const std::optional<bencode::Value>& dictionary, const char* name) {
        const auto value = dictionary ? dictionary->find(name) : std::nullopt;
        return std::string(value ? value->text().value_or("") : "");
    };
    const std::optional<bencode::Value> body(*message);
    const auto field = [&](const char* name) { return text_in(body, name); };
    if (field("y") == "r") answers.push_back(from);
    if (field("y") != "q") return;
    const auto read_only = message->find("ro");
    const std::string query = field("q");
    const auto arguments = message->find("a");
    const std::string target = text_in(arguments, query == "find_node" ? "target" : "info_hash");
    queries.push_back({query, from, read_only && read_only->integer() == 1, target});
    if (mood == Mood::kSilent || query == "announce_peer") return;
    held_.push_back({from, query == "get_peers", field("t")});
    if (mood == Mood::kAnswers) release();
}

void RawDhtNode::release() {
    mood = Mood::kAnswers;
    for (const Asked& asked : std::exchange(held_, {})) {
        send(asked.from, answer_to(asked));
    }
}

std::string RawDhtNode::answer_to(const Asked& asked) const {
    std::string nodes;
    for (const dht::Contact& contact : contacts) {
        if (contact.at.v6 != at_.v6) continue;
        nodes += std::string(as_text(contact.id.span())) + compact(contact.at);
    }
    std::string packet = "d1:rd2:id" + text(as_text(id_.span())) +
                         (at_.v6 ? "6:nodes6" : "5:nodes") + text(nodes) + "5:token4:toke";
    if (asked.get_peers && !values.empty()) {
        packet += "6:valuesl";
        for (const std::string& value : values) packet += text(value);
        packet += "e";
    }
    return packet + "e1:t" + text(asked.transaction) + "1:y1:re";
}

}  // namespace kollator::testing
