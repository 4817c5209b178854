#pragma once

#include <map>
#include <vector>

#include "dht/query_queue.h"

namespace kollator::dht {

/// Keeps what is sent, for a test to answer.
class FakeWire final : public Wire {
 public:
    struct Sent {
        Endpoint to;
        Query query;
        std::uint64_t ticket;
    };
    void send(const Endpoint& to, const Query& query, std::uint64_t ticket) override {
        sent.push_back({to, query, ticket});
    }
    std::vector<Sent> sent;
};

inline Endpoint test_endpoint(unsigned number, std::uint16_t port = 6881) {
    Endpoint at;
    at.address = {1, 0, static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)};
    at.port = port;
    return at;
}

/// An id that begins with this byte.
inline NodeId test_id(std::uint8_t first, std::uint8_t second = 0) {
    std::array<std::uint8_t, 20> bytes{};
    bytes[0] = first;
    bytes[1] = second;
    return NodeId(bytes);
}

}  // namespace kollator::dht
