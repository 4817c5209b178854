// The only file that includes libtorrent: each one that does takes seconds and half a gigabyte to
// compile. What is set and why stands in docs/adr/0009.

#include <atomic>
#include <libtorrent/alert_types.hpp>
#include <libtorrent/disabled_disk_io.hpp>
#include <libtorrent/io_context.hpp>
#include <libtorrent/kademlia/dht_storage.hpp>
#include <libtorrent/session.hpp>
#include <libtorrent/session_params.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "base/log.h"
#include "dht/node.h"
#include "dht/send_guard.h"
#include "loop/system_clock.h"

namespace lt = libtorrent;

namespace kollator::dht {
namespace {

const log::Logger kLog("dht");

/// Answers and stats come as alerts; while the loop is busy they wait here.
constexpr int kAlertQueue = 100'000;
/// With the kernel's default, 100 announcements at once lose nine tenths of their answers.
constexpr int kSocketBufferBytes = 2 << 20;

ByteSpan bytes_of(lt::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

template <typename Id>
Id id_from(const lt::sha1_hash& hash) {
    return *Id::from_bytes({reinterpret_cast<const std::uint8_t*>(hash.data()), Id::kSize});
}

std::string text_of(ByteSpan bytes) {
    return std::string(as_text(bytes));
}

Endpoint endpoint_from(const lt::address& address, std::uint16_t port) {
    Endpoint endpoint;
    endpoint.port = port;
    if (address.is_v4()) {
        const auto bytes = address.to_v4().to_bytes();
        std::copy(bytes.begin(), bytes.end(), endpoint.address.begin());
    } else {
        endpoint.v6 = true;
        endpoint.address = address.to_v6().to_bytes();
    }
    return endpoint;
}

lt::udp::endpoint to_udp(const Endpoint& endpoint) {
    if (endpoint.v6) return {lt::address_v6(endpoint.address), endpoint.port};
    lt::address_v4::bytes_type bytes{};
    std::copy_n(endpoint.address.begin(), bytes.size(), bytes.begin());
    return {lt::address_v4(bytes), endpoint.port};
}

lt::entry to_entry(const Query& query) {
    static constexpr const char* kNames[] = {"ping", "find_node", "get_peers", "announce_peer"};
    lt::entry entry;
    entry["y"] = "q";
    entry["q"] = kNames[static_cast<std::size_t>(query.kind)];
    lt::entry& arguments = entry["a"];
    arguments = lt::entry(lt::entry::dictionary_t);
    switch (query.kind) {
        case QueryKind::kPing:
            break;
        case QueryKind::kFindNode:
            arguments["target"] = text_of(query.target.span());
            break;
        case QueryKind::kAnnouncePeer:
            arguments["token"] = query.token;
            arguments["port"] = query.port;
            arguments["implied_port"] = 0;  // the DHT's own port serves no chunks
            [[fallthrough]];
        case QueryKind::kGetPeers:
            arguments["info_hash"] = text_of(query.target.span());
            break;
    }
    return entry;
}

Result<Reply> read_response(const lt::bdecode_node& response, const AddressPolicy& policy) {
    // Errors and what libtorrent gave up look the same: an empty response.
    if (response.type() != lt::bdecode_node::dict_t) {
        return make_error(ErrorCode::kInvalid, "refused");
    }
    const lt::bdecode_node body = response.dict_find_dict("r");
    if (!body) return make_error(ErrorCode::kInvalid, "refused");
    RawReply raw;
    raw.id = bytes_of(body.dict_find_string_value("id"));
    raw.token = bytes_of(body.dict_find_string_value("token"));
    raw.nodes = bytes_of(body.dict_find_string_value("nodes"));
    raw.nodes6 = bytes_of(body.dict_find_string_value("nodes6"));
    if (const lt::bdecode_node values = body.dict_find_list("values")) {
        const int count = std::min<int>(values.list_size(), kMaxReplyPeers);
        for (int i = 0; i < count; ++i) {
            raw.values.push_back(bytes_of(values.list_string_value_at(i)));
        }
    }
    return read_reply(raw, policy);
}

/// libtorrent's own storage, with an eye on what is announced: dht_announce_alert would come before
/// the token is checked, this is called after.
class ObservedStorage final : public lt::dht::dht_storage_interface {
 public:
    ObservedStorage(std::unique_ptr<lt::dht::dht_storage_interface> below,
                    std::shared_ptr<PeerStore> store)
        : below_(std::move(below)), store_(std::move(store)) {}

    void announce_peer(const lt::sha1_hash& key, const lt::tcp::endpoint& peer,
                       lt::string_view name, bool seed) override {
        below_->announce_peer(key, peer, name, seed);
        store_->add(system_clock().now(), id_from<InfoHash>(key),
                    endpoint_from(peer.address(), peer.port()));
    }

#if TORRENT_ABI_VERSION == 1
    size_t num_torrents() const override {
        return below_->num_torrents();
    }
    size_t num_peers() const override {
        return below_->num_peers();
    }
#endif
    void update_node_ids(const std::vector<lt::dht::node_id>& ids) override {
        below_->update_node_ids(ids);
    }
    bool get_peers(const lt::sha1_hash& key, bool noseed, bool scrape, const lt::address& requester,
                   lt::entry& peers) const override {
        return below_->get_peers(key, noseed, scrape, requester, peers);
    }
    bool get_immutable_item(const lt::sha1_hash& target, lt::entry& item) const override {
        return below_->get_immutable_item(target, item);
    }
    void put_immutable_item(const lt::sha1_hash& target, lt::span<const char> bytes,
                            const lt::address& from) override {
        below_->put_immutable_item(target, bytes, from);
    }
    bool get_mutable_item_seq(const lt::sha1_hash& target,
                              lt::dht::sequence_number& number) const override {
        return below_->get_mutable_item_seq(target, number);
    }
    bool get_mutable_item(const lt::sha1_hash& target, lt::dht::sequence_number number, bool fill,
                          lt::entry& item) const override {
        return below_->get_mutable_item(target, number, fill, item);
    }
    void put_mutable_item(const lt::sha1_hash& target, lt::span<const char> bytes,
                          const lt::dht::signature& signature, lt::dht::sequence_number number,
                          const lt::dht::public_key& key, lt::span<const char> salt,
                          const lt::address& from) override {
        below_->put_mutable_item(target, bytes, signature, number, key, salt, from);
    }
    int get_infohashes_sample(lt::entry& item) override {
        return below_->get_infohashes_sample(item);
    }
    void tick() override {
        below_->tick();
    }
    lt::dht::dht_storage_counters counters() const override {
        return below_->counters();
    }

 private:
    const std::unique_ptr<lt::dht::dht_storage_interface> below_;
    const std::shared_ptr<PeerStore> store_;
};

std::string listen_list(const NodeOptions& options) {
    std::string list;
    for (const std::string& address : options.addresses) {
        const bool v6 = address.find(':') != std::string::npos;
        if (!list.empty()) list += ",";
        list += (v6 ? "[" + address + "]" : address) + ":" + std::to_string(options.port);
    }
    return list;
}

lt::settings_pack settings_of(const NodeOptions& options) {
    using Pack = lt::settings_pack;
    Pack pack;
    pack.set_str(Pack::listen_interfaces, listen_list(options));
    pack.set_int(Pack::max_retry_port_bind, 0);
    pack.set_bool(Pack::listen_system_port_fallback, false);
    for (const int off :
         {Pack::enable_lsd, Pack::enable_upnp, Pack::enable_natpmp, Pack::enable_ip_notifier,
          Pack::enable_incoming_tcp, Pack::enable_outgoing_tcp, Pack::enable_incoming_utp,
          Pack::enable_outgoing_utp}) {
        pack.set_bool(off, false);
    }
    pack.set_int(Pack::aio_threads, 0);
    pack.set_int(Pack::hashing_threads, 0);
    pack.set_int(Pack::alert_queue_size, kAlertQueue);
    pack.set_int(Pack::alert_mask, static_cast<int>(static_cast<std::uint32_t>(
                                       lt::alert_category::dht | lt::alert_category::status |
                                       lt::alert_category::error)));
    pack.set_int(Pack::recv_socket_buffer_size, kSocketBufferBytes);
    pack.set_int(Pack::send_socket_buffer_size, kSocketBufferBytes);
    pack.set_int(Pack::dht_upload_rate_limit, static_cast<int>(options.upload_bytes_per_second));
    pack.set_bool(Pack::dht_read_only, options.read_only);
    std::string bootstrap;
    for (const std::string& node : options.bootstrap) {
        bootstrap += (bootstrap.empty() ? "" : ",") + node;
    }
    pack.set_str(Pack::dht_bootstrap_nodes, bootstrap);
    // Enabled only when the state is in: with no bootstrap nodes 2.0.8 would drop it.
    pack.set_bool(Pack::enable_dht, false);
    if (options.allow_private) {
        for (const int off : {Pack::dht_restrict_routing_ips, Pack::dht_restrict_search_ips,
                              Pack::dht_prefer_verified_node_ids, Pack::dht_enforce_node_id,
                              Pack::dht_ignore_dark_internet}) {
            pack.set_bool(off, false);
        }
        pack.set_int(Pack::dht_block_ratelimit, 1'000'000);
    }
    return pack;
}

/// What cannot be read is as good as nothing: the node begins anew.
lt::dht::dht_state read_state(ByteSpan state) {
    if (state.empty()) return {};
    try {
        const lt::span<const char> raw(reinterpret_cast<const char*>(state.data()),
                                       static_cast<std::ptrdiff_t>(state.size()));
        return lt::read_session_params(raw, lt::session_handle::save_dht_state).dht_state;
    } catch (const std::exception& error) {
        kLog.warn("event=state-unreadable error=\"{}\"", error.what());
        return {};
    }
}

/// libtorrent's session on a thread of ours, which sends nothing to addresses that are refused.
class GuardedSession {
 public:
    GuardedSession(lt::session_params params, AddressPolicy policy)
        : session_(std::in_place, std::move(params), context_), thread_([this, policy] {
              const SendGuard guard(policy, refused_);
              context_.run();
          }) {}

    /// In the order that libtorrent/session.hpp asks for.
    ~GuardedSession() {
        const lt::session_proxy proxy = session_->abort();
        session_.reset();
        thread_.join();
    }
    GuardedSession(const GuardedSession&) = delete;
    GuardedSession& operator=(const GuardedSession&) = delete;

    lt::session& session() { return *session_; }
    std::uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }

 private:
    std::atomic<std::uint64_t> refused_{0};  // datagrams
    lt::io_context context_;
    std::optional<lt::session> session_;
    std::thread thread_;
};

class LibtorrentNode final : public Node {
 public:
    LibtorrentNode(EventLoop& loop, JobPool& jobs, const NodeOptions& options,
                   std::shared_ptr<PeerStore> announced, NodeEvents events)
        : loop_(loop), jobs_(jobs), policy_{options.allow_private}, events_(std::move(events)) {
        lt::session_params params(settings_of(options), {});
        params.disk_io_constructor = lt::disabled_disk_io_constructor;
        params.dht_storage_constructor =
            [announced = std::move(announced)](const lt::settings_interface& settings) {
                return std::make_unique<ObservedStorage>(
                    lt::dht::dht_default_storage_constructor(settings), announced);
            };
        params.dht_state = read_state(options.state);
        guarded_ = std::make_shared<GuardedSession>(std::move(params), policy_);
        session_ = std::shared_ptr<lt::session>(guarded_, &guarded_->session());
        // Runs on libtorrent's thread, perhaps while this goes: it touches what it shares only.
        session_->set_alert_notify(
            [this, &loop, notified = notified_, alive = std::weak_ptr<int>(alive_)] {
                if (notified->exchange(true)) return;
                loop.post([this, alive] {
                    if (!alive.expired()) take_alerts();
                });
            });
        set_enabled(true);
    }

    ~LibtorrentNode() override {
        session_->set_alert_notify([] {});
    }

    void send(const Endpoint& to, const Query& query, std::uint64_t ticket) override {
        session_->dht_direct_request(to_udp(to), to_entry(query),
                                     lt::client_data_t(reinterpret_cast<void*>(ticket)));
    }

    std::uint64_t refused_sends() const override { return guarded_->refused(); }
    void refresh() override { session_->post_dht_stats(); }
    void listen_again() override { session_->reopen_network_sockets(); }

    void rejoin(const std::vector<Endpoint>& contacts) override {
        set_enabled(false);
        set_enabled(true);
        for (const Endpoint& contact : contacts) {
            session_->add_dht_node({contact.address_text(), contact.port});
        }
    }

    void save(std::function<void(Bytes)> on_done) override {
        // Waits for libtorrent's thread.
        jobs_.run(
            loop_,
            [session = session_] {
                const auto raw = lt::write_session_params_buf(
                    session->session_state(lt::session_handle::save_dht_state),
                    lt::session_handle::save_dht_state);
                return Bytes(raw.begin(), raw.end());
            },
            std::move(on_done));
    }

 private:
    void set_enabled(bool enabled) {
        lt::settings_pack pack;
        pack.set_bool(lt::settings_pack::enable_dht, enabled);
        session_->apply_settings(std::move(pack));
    }

    void take_alerts() {
        *notified_ = false;
        std::vector<lt::alert*> alerts;  // libtorrent's until the next pop
        session_->pop_alerts(&alerts);
        const std::weak_ptr<int> alive(alive_);
        for (lt::alert* alert : alerts) {
            take(alert);
            if (alive.expired()) return;
        }
    }

    void take(lt::alert* alert) {
        if (const auto* response = lt::alert_cast<lt::dht_direct_response_alert>(alert)) {
            const auto ticket = reinterpret_cast<std::uint64_t>(response->userdata.get<void>());
            events_.on_reply(ticket, read_response(response->response(), policy_));
        } else if (const auto* stats = lt::alert_cast<lt::dht_stats_alert>(alert)) {
            take_stats(*stats);
        } else if (const auto* live = lt::alert_cast<lt::dht_live_nodes_alert>(alert)) {
            std::vector<Contact> contacts;
            for (const auto& [id, at] : live->nodes()) {
                const Contact contact{id_from<NodeId>(id), endpoint_from(at.address(), at.port())};
                if (policy_.allows(contact.at)) contacts.push_back(contact);
            }
            events_.on_contacts(id_from<NodeId>(live->node_id), std::move(contacts));
        } else if (const auto* good = lt::alert_cast<lt::listen_succeeded_alert>(alert)) {
            if (good->socket_type != lt::socket_type_t::udp) return;
            kLog.info("event=listening address={} port={}", good->address.to_string(), good->port);
            events_.on_listening(good->address.to_string(), static_cast<std::uint16_t>(good->port));
        } else if (const auto* bad = lt::alert_cast<lt::listen_failed_alert>(alert)) {
            const bool no_v6 = bad->address.is_v6() &&
                               (bad->error == boost::system::errc::address_family_not_supported ||
                                bad->error == boost::system::errc::address_not_available);
            if (no_v6) return;
            events_.on_listen_failed(bad->address.to_string(), bad->address.to_string() + " port " +
                                                                   std::to_string(bad->port) +
                                                                   ": " + bad->error.message());
        }
    }

    void take_stats(const lt::dht_stats_alert& stats) {
        TableReport report;
        report.id = id_from<NodeId>(stats.nid);
        if (report.id == NodeId()) return;  // there is no node yet
        report.address = stats.local_endpoint.address().to_string();
        report.port = stats.local_endpoint.port();
        report.v6 = stats.local_endpoint.address().is_v6();
        for (const lt::dht_routing_bucket& bucket : stats.routing_table) {
            report.nodes += static_cast<std::size_t>(bucket.num_nodes);
            report.replacements += static_cast<std::size_t>(bucket.num_replacements);
        }
        events_.on_table(report);
        session_->dht_live_nodes(stats.nid);
    }

    EventLoop& loop_;
    JobPool& jobs_;
    const AddressPolicy policy_;
    const NodeEvents events_;
    const std::shared_ptr<std::atomic<bool>> notified_ = std::make_shared<std::atomic<bool>>(false);
    std::shared_ptr<GuardedSession> guarded_;
    std::shared_ptr<lt::session> session_;  // the guarded one; with jobs that save its state
    const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace

std::unique_ptr<Node> open_node(EventLoop& loop, JobPool& jobs, const NodeOptions& options,
                                std::shared_ptr<PeerStore> announced, NodeEvents events) {
    return std::make_unique<LibtorrentNode>(loop, jobs, options, std::move(announced),
                                            std::move(events));
}

}  // namespace kollator::dht
