#include "tests/support/dht_network.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/random.h"

namespace kollator::testing {

using dht::Contact;
using dht::Endpoint;
using dht::NodeId;
using dht::Query;
using dht::QueryKind;
using dht::Reply;

namespace {

constexpr std::size_t kBucket = 8;
constexpr std::uint16_t kPort = 6881;

// What a message takes (BEP 5's encoding, ids of 20 bytes, transactions of 2, tokens of 8), with
// 28 bytes of UDP and IPv4.
constexpr std::size_t kHeaders = 28;
constexpr std::size_t kGetPeersBytes = 95 + kHeaders;
constexpr std::size_t kAnnounceBytes = 95 + 5 + 18 + 12 + 17 + kHeaders;
constexpr std::size_t kNodesReplyBytes = 12 + 20 + 12 + 8 * 26 + 17 + 20 + kHeaders;
constexpr std::size_t kShortReplyBytes = 12 + 20 + 20 + kHeaders;

std::uint64_t head_of(ByteSpan id) {
    return load_u64(id.data());
}

}  // namespace

DhtNetwork::DhtNetwork(Options options) : options_(options), killed_(options.nodes, false) {
    SeededRandom random(options_.seed);
    heads_.resize(options_.nodes);
    for (std::uint64_t& head : heads_) head = random.u64();
    std::sort(heads_.begin(), heads_.end());
}

std::uint64_t DhtNetwork::mix(std::uint64_t a, std::uint64_t b) const {
    std::uint64_t z = a * 0x9e3779b97f4a7c15ULL + b + options_.seed;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

bool DhtNetwork::lives(std::size_t node, TimePoint at) const {
    if (killed_[node]) return false;
    const auto session = static_cast<std::uint64_t>(options_.session.count());
    const auto time = static_cast<std::uint64_t>(at.time_since_epoch().count());
    const std::uint64_t turn = (time + mix(node, 1) % session) / session;
    return static_cast<double>(mix(node, turn) % 100'000) >= options_.dead * 100'000;
}

NodeId DhtNetwork::id_of(std::size_t node) const {
    std::array<std::uint8_t, 20> bytes{};
    store_u64(bytes.data(), heads_[node]);
    store_u64(bytes.data() + 8, mix(node, 2));
    store_u32(bytes.data() + 16, static_cast<std::uint32_t>(node));
    return NodeId(bytes);
}

Contact DhtNetwork::contact_of(std::size_t node) const {
    Endpoint at;
    store_u32(at.address.data(), static_cast<std::uint32_t>(node));
    at.port = kPort;
    return {id_of(node), at};
}

Duration DhtNetwork::rtt_of(std::size_t node) const {
    // Two uniform numbers make a normal one (Box and Muller).
    const double u = (static_cast<double>(mix(node, 3) % 1'000'000) + 1) / 1'000'001;
    const double v = static_cast<double>(mix(node, 4) % 1'000'000) / 1'000'000;
    const double normal = std::sqrt(-2 * std::log(u)) * std::cos(6.283185307179586 * v);
    const double seconds = options_.rtt_median_s * std::exp(options_.rtt_sigma * normal);
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

/// The nodes whose ids begin with the first `bits` bits of `head`.
DhtNetwork::Range DhtNetwork::range_of(std::uint64_t head, unsigned bits) const {
    if (bits == 0) return {0, heads_.size()};
    if (bits > 64) bits = 64;
    const std::uint64_t mask = ~std::uint64_t{0} << (64 - bits);
    const std::uint64_t low = head & mask;
    const auto first = std::lower_bound(heads_.begin(), heads_.end(), low);
    const auto end = std::upper_bound(first, heads_.end(), low | ~mask);
    return {static_cast<std::size_t>(first - heads_.begin()),
            static_cast<std::size_t>(end - heads_.begin())};
}

/// Up to a bucket full of a subtree: all of a small one, else always the same few.
void DhtNetwork::add_known(std::size_t asked, Range range, std::uint64_t head,
                           std::vector<std::size_t>& out) const {
    std::vector<std::size_t> known;
    if (range.size() <= kBucket) {
        for (std::size_t i = range.first; i < range.end; ++i) known.push_back(i);
    } else {
        for (std::size_t i = 0; known.size() < kBucket && i < 4 * kBucket; ++i) {
            const std::size_t node = range.first + mix(asked * 64 + i, range.first) % range.size();
            if (std::find(known.begin(), known.end(), node) == known.end()) known.push_back(node);
        }
    }
    std::sort(known.begin(), known.end(), [&](std::size_t a, std::size_t b) {
        return (heads_[a] ^ head) < (heads_[b] ^ head);
    });
    for (const std::size_t node : known) {
        if (out.size() < kBucket && node != asked) out.push_back(node);
    }
}

/// From the subtree around the key upwards: what is nearer to the key than the asked node itself is
/// one of its buckets; its own subtree is the next; and so on to the root.
std::vector<std::size_t> DhtNetwork::known_to(std::size_t asked, std::uint64_t head) const {
    const std::uint64_t own = heads_[asked];
    const auto shared = static_cast<unsigned>(std::countl_zero(own ^ head));
    std::vector<std::size_t> out;
    add_known(asked, range_of(head, shared + 1), head, out);
    // Its own side: the neighbours it has buckets for, the nearest to the key first.
    for (unsigned bits = shared + 1; bits < 64 && out.size() < kBucket; ++bits) {
        const Range mine = range_of(own, bits);
        if (mine.size() <= 2 * kBucket || bits == shared + 1) add_known(asked, mine, head, out);
        if (mine.size() <= kBucket) break;
    }
    for (unsigned bits = shared; bits > 0 && out.size() < kBucket; --bits) {
        const std::uint64_t flipped = head ^ (std::uint64_t{1} << (64 - bits));
        add_known(asked, range_of(flipped, bits), head, out);
    }
    return out;
}

void DhtNetwork::send(const Endpoint& to, const Query& query, std::uint64_t ticket) {
    ++messages;
    bytes_out += query.kind == QueryKind::kAnnouncePeer ? kAnnounceBytes : kGetPeersBytes;
    const std::uint32_t node = load_u32(to.address.data());
    if (node >= heads_.size() || !lives(node, now_)) return;
    if (static_cast<double>(mix(ticket, 5) % 100'000) < options_.loss * 100'000) return;
    events_.push({now_ + rtt_of(node), ticket, node, query.kind, head_of(query.target.span()),
                  query.target});
}

void DhtNetwork::advance(TimePoint now) {
    while (!events_.empty() && events_.top().at <= now) {
        const Event event = events_.top();
        events_.pop();
        now_ = std::max(now_, event.at);
        Reply reply;
        reply.id = id_of(event.node);
        if (event.kind == QueryKind::kGetPeers || event.kind == QueryKind::kFindNode) {
            bytes_in += kNodesReplyBytes;
            reply.token = "12345678";
            if (has_record(event.node, event.key)) reply.peers = {peer()};
            for (const std::size_t node : known_to(event.node, event.key_head)) {
                reply.nodes.push_back(contact_of(node));
            }
        } else {
            bytes_in += kShortReplyBytes;
            if (event.kind == QueryKind::kAnnouncePeer && watched_.contains(event.key)) {
                records_[{event.node, event.key}] = now_;
            }
        }
        on_reply_(now_, event.ticket, std::move(reply));
    }
    now_ = std::max(now_, now);
}

std::vector<Contact> DhtNetwork::contacts(const NodeId& own, std::size_t count) const {
    std::vector<Contact> out;
    const std::uint64_t head = head_of(own.span());
    // libtorrent's first buckets hold 128, 64, 32 and 16 nodes, the others 8.
    for (unsigned bits = 1; bits < 64 && out.size() < count; ++bits) {
        const Range range = range_of(head ^ (std::uint64_t{1} << (64 - bits)), bits);
        const std::size_t room = std::min(bits <= 4 ? 256U >> bits : kBucket, range.size());
        for (std::size_t i = 0; i < room; ++i) {
            out.push_back(contact_of(range.first + mix(bits, i) % range.size()));
        }
    }
    return out;
}

std::vector<Contact> DhtNetwork::nearest_living(const InfoHash& key, std::size_t count) const {
    const std::uint64_t head = head_of(key.span());
    unsigned bits = 64;
    std::vector<std::size_t> living;
    while (bits > 0 && living.size() < count) {
        const Range range = range_of(head, --bits);
        living.clear();
        for (std::size_t i = range.first; i < range.end; ++i) {
            if (lives(i, now_)) living.push_back(i);
        }
    }
    std::sort(living.begin(), living.end(), [&](std::size_t a, std::size_t b) {
        return (heads_[a] ^ head) < (heads_[b] ^ head);
    });
    std::vector<Contact> out;
    for (std::size_t i = 0; i < std::min(count, living.size()); ++i) {
        out.push_back(contact_of(living[i]));
    }
    return out;
}

std::size_t DhtNetwork::records_near(const InfoHash& key) const {
    std::size_t count = 0;
    for (const Contact& contact : nearest_living(key, kBucket)) {
        if (has_record(load_u32(contact.at.address.data()), key)) ++count;
    }
    return count;
}

void DhtNetwork::place(const InfoHash& key) {
    for (const Contact& contact : nearest_living(key, kBucket)) {
        records_[{load_u32(contact.at.address.data()), key}] = now_;
    }
}

bool DhtNetwork::has_record(std::uint32_t node, const InfoHash& key) const {
    const auto found = records_.find({node, key});
    return found != records_.end() && now_ - found->second < std::chrono::minutes(30);
}

void DhtNetwork::kill(double share) {
    for (std::size_t i = 0; i < killed_.size(); ++i) {
        if (static_cast<double>(mix(i, 6) % 100'000) < share * 100'000) killed_[i] = true;
    }
}

}  // namespace kollator::testing
