#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dht/contact.h"
#include "loop/event_loop.h"

namespace kollator::testing {

/// A DHT node made by hand on a UDP socket: it answers every query, but announce_peer, with the
/// contacts and values it was told of, and keeps what it was asked. As
/// somebody's bootstrap node it introduces the nodes of a test to each other at once; libtorrent's
/// own takes a tick of 5 s for each.
class RawDhtNode {
 public:
    RawDhtNode(EventLoop& loop, const std::string& address);
    ~RawDhtNode();
    RawDhtNode(const RawDhtNode&) = delete;
    RawDhtNode& operator=(const RawDhtNode&) = delete;

    dht::Contact contact() const { return {id_, at_}; }
    /// For NodeOptions::bootstrap.
    std::string entry() const { return at_.text(); }
    void send(const dht::Endpoint& to, const std::string& packet);
    void ping(const dht::Endpoint& to);
    /// Answers what was asked while it held its answers, and no longer holds them.
    void release();

    struct Heard {
        std::string query;
        dht::Endpoint from;
        bool read_only = false;  ///< BEP 43's "ro"
        std::string target{};    ///< of find_node and get_peers
    };
    std::vector<Heard> queries;
    std::vector<dht::Endpoint> answers;  ///< from whom

    // How it answers.
    enum class Mood : std::uint8_t { kAnswers, kHolds, kSilent };
    Mood mood = Mood::kAnswers;
    std::vector<dht::Contact> contacts;
    std::vector<std::string> values;  ///< to get_peers

 private:
    struct Asked {
        dht::Endpoint from;
        bool get_peers;
        std::string transaction;
    };
    std::string answer_to(const Asked& asked) const;

    void read();
    void take(ByteSpan packet, const dht::Endpoint& from);

    dht::Endpoint at_;
    dht::NodeId id_;
    const int socket_;
    std::unique_ptr<FdWatch> watch_;
    std::vector<Asked> held_;
};

}  // namespace kollator::testing
