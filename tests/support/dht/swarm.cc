// Nodes of the DHT in one process, on loopback, for tests: each with libtorrent underneath and its
// own announcer. Commands come on standard input, one a line; each answer is one JSON line:
//
//     dht_swarm <nodes> <bootstrap host:port>      "ready" with the nodes' ports
//     announce <node> <info-hash>                  announces port 20000 + node
//     find <node> <info-hash>                      peers
//     contacts                                     how many each node knows
//     kill <node>

#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "crypto/system_random.h"
#include "dht/dht.h"
#include "loop/event_loop.h"
#include "loop/job_pool.h"

namespace {

using namespace kollator;
using nlohmann::json;

constexpr std::uint16_t kFirstAnnouncedPort = 20000;

void say(const json& line) {
    std::printf("%s\n", line.dump().c_str());
    std::fflush(stdout);
}

class Swarm {
 public:
    Swarm(EventLoop& loop, JobPool& jobs, std::size_t count, const std::string& bootstrap)
        : loop_(loop), input_(loop, STDIN_FILENO), ready_timer_(loop) {
        for (std::size_t i = 0; i < count; ++i) {
            dht::DhtOptions options;
            options.node.addresses = {"127.0.0.1"};
            options.node.bootstrap = {bootstrap};
            options.node.allow_private = true;
            options.announce_port = static_cast<std::uint16_t>(kFirstAnnouncedPort + i);
            options.state_path = "/nonexistent/dht.state";
            nodes_.push_back(std::make_unique<dht::Dht>(loop, jobs, posix_file_system(),
                                                        crypto::system_random(), options));
        }
        input_.on_readable([this] { read(); });
        wait_until_ready();
    }

 private:
    void wait_until_ready() {
        std::vector<std::uint16_t> ports;
        for (const auto& node : nodes_) {
            const auto listening = node->report().ports;
            if (!listening.empty()) ports.push_back(listening.front());
        }
        if (ports.size() == nodes_.size()) return say({{"ready", ports}});
        ready_timer_.start_after(std::chrono::milliseconds(50), [this] { wait_until_ready(); });
    }

    void read() {
        std::array<char, 4096> buffer{};
        const ssize_t count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
        if (count <= 0) return loop_.stop();
        pending_.append(buffer.data(), static_cast<std::size_t>(count));
        for (std::size_t end = 0; (end = pending_.find('\n')) != std::string::npos;) {
            obey(pending_.substr(0, end));
            pending_.erase(0, end + 1);
        }
    }

    void obey(const std::string& line) {
        std::istringstream words(line);
        std::string command;
        std::size_t number = 0;
        std::string hash;
        words >> command >> number >> hash;
        if (command == "contacts") {
            json counts = json::array();
            for (const auto& node : nodes_) {
                counts.push_back(node ? node->report().health.contacts : 0);
            }
            return say({{"contacts", counts}});
        }
        if (number >= nodes_.size() || !nodes_[number]) return say({{"error", "no such node"}});
        if (command == "kill") {
            nodes_[number].reset();
            return say({{"killed", number}});
        }
        const auto key = InfoHash::from_hex(hash);
        if (!key) return say({{"error", "no info-hash"}});
        if (command == "announce") {
            nodes_[number]->announce(*key, dht::When::kUrgent);
            return say({{"announcing", hash}});
        }
        nodes_[number]->find(*key, *key, [hash](const Result<std::vector<dht::Endpoint>>& found) {
            json peers = json::array();
            if (found) {
                for (const dht::Endpoint& peer : *found) peers.push_back(peer.text());
            }
            say({{"hash", hash}, {"peers", peers}});
        });
    }

    EventLoop& loop_;
    FdWatch input_;
    Timer ready_timer_;
    std::vector<std::unique_ptr<dht::Dht>> nodes_;
    std::string pending_;
};

}  // namespace

int main(int count, char** arguments) {
    if (count != 3) return 2;
    EventLoop loop;
    JobPool jobs(1);
    Swarm swarm(loop, jobs, std::strtoul(arguments[1], nullptr, 10), arguments[2]);
    loop.run();
    return 0;
}
