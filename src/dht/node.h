#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dht/peer_store.h"
#include "dht/wire.h"
#include "loop/event_loop.h"
#include "loop/job_pool.h"

namespace kollator::dht {

struct NodeOptions {
    std::vector<std::string> addresses;  ///< numeric, to listen on; "0.0.0.0" and "::" are all
    std::uint16_t port = 0;              ///< 0: any free one, another for each address
    std::vector<std::string> bootstrap;  ///< "host:port"
    bool read_only = false;              ///< BEP 43
    bool allow_private = false;          ///< see AddressPolicy; without it nothing is sent there
    /// What the node may send, its answers to others included; without room they starve.
    unsigned upload_bytes_per_second = 2'000'000;
    Bytes state;  ///< what save() gave, or empty
};

/// One routing table: there is one for each address listened on.
struct TableReport {
    std::string address;  ///< numeric
    std::uint16_t port = 0;
    bool v6 = false;
    NodeId id;  ///< changes once, when the node has learnt its address from others (BEP 42)
    std::size_t nodes = 0;
    std::size_t replacements = 0;
};

struct NodeEvents {
    std::function<void(std::uint64_t ticket, Result<Reply>)> on_reply;
    std::function<void(const TableReport&)> on_table;
    /// All contacts of the routing table of the node with this id.
    std::function<void(const NodeId& of, std::vector<Contact>)> on_contacts;
    std::function<void(const std::string& address, std::uint16_t port)> on_listening;
    /// The reason, for the operator. Not told where the machine has no IPv6.
    std::function<void(const std::string& address, const std::string& why)> on_listen_failed;
};

/// A node of the Mainline DHT (BEP 5, 32, 42): answers others, keeps its routing table, and sends
/// what we ask. Loop thread only; events come there.
class Node : public Wire {
 public:
    /// Datagrams that were not sent: to addresses that the policy refuses, which nodes had named.
    virtual std::uint64_t refused_sends() const = 0;
    /// Asks for the tables and their contacts: events tell.
    virtual void refresh() = 0;
    /// Binds anew: what was in use may be free by now.
    virtual void listen_again() = 0;
    /// Enters the network anew: by the bootstrap nodes, and by `contacts`.
    virtual void rejoin(const std::vector<Endpoint>& contacts) = 0;
    /// Who it is and whom it knows, for NodeOptions::state. `on_done` runs once, on the loop.
    virtual void save(std::function<void(Bytes)> on_done) = 0;
};

/// Never fails: that it cannot listen is an event. `loop` and `jobs` outlive it; `announced` is
/// told of each peer whose announcement had a good token, from another thread.
std::unique_ptr<Node> open_node(EventLoop& loop, JobPool& jobs, const NodeOptions& options,
                                std::shared_ptr<PeerStore> announced, NodeEvents events);

}  // namespace kollator::dht
