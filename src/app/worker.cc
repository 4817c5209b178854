#include "app/worker.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "app/cache_upkeep.h"
#include "app/descriptors.h"
#include "app/dht_service.h"
#include "app/front_link.h"
#include "app/ice_server_options.h"
#include "app/peer_session.h"
#include "app/rtc_metrics.h"
#include "app/store_probe.h"
#include "app/stores.h"
#include "app/takedown.h"
#include "app/worker_report.h"
#include "base/log.h"
#include "base/metrics.h"
#include "cache/disk_cache.h"
#include "chunk/store_chunk_service.h"
#include "cluster/authenticator.h"
#include "cluster/fellows.h"
#include "crypto/system_random.h"
#include "http/http_server.h"
#include "http/worker_endpoints.h"
#include "loop/job_pool.h"
#include "loop/system_clock.h"
#include "protocol/catalog.h"
#include "rtc/certificate.h"
#include "rtc/endpoint.h"
#include "rtc/mux/host_addresses.h"
#include "rtc/peer_hub.h"

namespace kollator::app {
namespace {

const log::Logger kLog("worker");

constexpr std::size_t kJobThreads = 4;
/// A cache's index is waited for so long, and then made while the worker serves.
constexpr std::chrono::milliseconds kCacheStartWait{400};
constexpr std::size_t kMetadataOpenFiles = 64;
/// With PORT=0 the UDP port that the kernel gives must be free on TCP too.
constexpr int kPortAttempts = 16;

std::int64_t seconds_since_1970() {
    return std::chrono::duration_cast<std::chrono::seconds>(
               system_clock().wall_now().time_since_epoch())
        .count();
}

}  // namespace

/// In the order in which they are made; each refers to those above it, and goes before them.
class Worker::Parts {
 public:
    Parts(EventLoop& loop, const config::Config& config, const DataDir& data, WorkerOptions options)
        : loop_(loop), config_(config), data_(data), options_(std::move(options)) {}

    ~Parts() {
        if (chunks_) chunks_->set_fellows(nullptr);  // they go first
    }

    Status open() {
        if (auto status = open_storage(); !status) return status;
        if (auto status = open_ports(); !status) return status;
        open_dht();
        open_sessions();
        open_endpoints();
        open_direct_dial();
        if (auto status = open_fellows(); !status) return status;
        return open_fronts();
    }

    std::uint16_t port() const { return http_->port(); }

    std::string http_url() const {
        if (!config_.public_url.empty()) return config_.public_url;
        const bool any = config_.host == "0.0.0.0" || config_.host == "::";
        std::string host = any ? reachable_address() : config_.host;
        if (host.find(':') != std::string::npos) host = "[" + host + "]";
        return "http://" + host + ":" + std::to_string(port());
    }

    std::string store_description() const { return store_->describe(); }

    std::vector<std::string> direct_addresses() const {
        std::vector<std::string> texts;
        for (const rtc::DirectAddress& address : hub_->direct_addresses()) {
            texts.push_back(rtc::format_direct_address(address));
        }
        return texts;
    }

    void drain(std::function<void()> on_done) {
        draining_ = true;
        if (fellows_) fellows_->stop();
        for (const auto& front : fronts_) front->send_status();
        const TimePoint end = loop_.now() + config_.drain_time;
        http_->stop(config_.drain_time / 4, [this, end, on_done = std::move(on_done)]() mutable {
            hub_->close_all("worker is shutting down");
            if (!journal_) return close_what_lasts(std::move(on_done));
            const Duration left = std::max(Duration::zero(), Duration(end - loop_.now()));
            journal_->drain(left, [this, on_done = std::move(on_done)]() mutable {
                close_what_lasts(std::move(on_done));
            });
        });
    }

 private:
    /// Where chunks are put: behind the journal, where there is one.
    store::ObjectStore& objects() { return journal_ ? *journal_ : *store_; }

    /// The address that an answer would name first.
    std::string reachable_address() const {
        if (!config_.announce_addresses.empty()) return config_.announce_addresses.front();
        const auto addresses = rtc::choose_host_addresses({}, rtc::machine_addresses());
        return addresses.empty() ? "127.0.0.1" : addresses.front().text();
    }

    Status open_storage() {
        jobs_ = std::make_unique<JobPool>(kJobThreads);
        auto store = open_object_store(config_, data_, loop_, *jobs_, metrics_);
        if (!store) return store.error();
        store_ = std::move(*store);
        auto journal = open_journal(config_, data_, loop_, *jobs_, *store_, metrics_);
        if (!journal) return journal.error();
        journal_ = std::move(*journal);
        probe_ = std::make_unique<StoreProbe>(loop_, *store_);

        cache::CacheOptions cache;
        cache.path = cache_folder_;
        cache.max_bytes = config_.cache_size_bytes;
        cache.max_age = config_.lru_max_age;
        cache.start_wait = kCacheStartWait;
        cache.max_open_files = cached_files_kept_open(raise_descriptor_limit());
        cache.policy = cache::policy_named(config_.cache_policy).value_or(cache.policy);
        disk_cache_ =
            cache::open_disk_cache(loop_, *jobs_, posix_file_system(), system_clock(), cache);

        cache.path = data_ / "metadata";
        cache.replaceable = true;
        cache.policy = cache::PolicyKind::kLru;
        cache.max_bytes = config_.metadata_cache_size_bytes;
        cache.max_open_files = kMetadataOpenFiles;
        metadata_cache_ =
            cache::open_disk_cache(loop_, *jobs_, posix_file_system(), system_clock(), cache);

        chunk::ChunkServiceOptions chunks;
        chunks.max_chunk_bytes = config_.max_chunk_bytes;
        chunks.fetch_budget_bytes = config_.fetch_budget_bytes;
        chunks.upload_budget_bytes = config_.upload_budget_bytes;
        chunks.prefetch_depth = config_.prefetch_depth;
        chunks.prefetch_budget_bytes = config_.prefetch_budget_bytes;
        chunks_ = chunk::make_chunk_service(loop_, *jobs_, system_clock(), *disk_cache_,
                                            *metadata_cache_, objects(), chunks, metrics_);
        cache_upkeep_ = std::make_unique<CacheUpkeep>(CacheUpkeep::Parts{
            loop_, *jobs_, config_, cache_folder_, *disk_cache_, *chunks_, metrics_});
        auto takedown = Takedown::start(
            {loop_, *jobs_, config_, data_, objects(), journal_.get(), *chunks_, metrics_});
        if (!takedown) return takedown.error();
        takedown_ = std::move(*takedown);
        return {};
    }

    Status open_ports() {
        auto certificate = rtc::Certificate::load_or_generate(
            posix_file_system(), data_ / "certificate.pem", seconds_since_1970());
        if (!certificate) return certificate.error();
        certificate_ = std::make_unique<rtc::Certificate>(std::move(*certificate));
        kLog.info("certificate sha-256={}", certificate_->fingerprint_text());

        Status status;
        for (int attempt = 0; attempt < kPortAttempts; ++attempt) {
            status = try_ports();
            if (status || config_.port != 0) break;
        }
        return status;
    }

    rtc::EndpointOptions endpoint_options() const {
        rtc::EndpointOptions udp;
        udp.bind_address = config_.host;
        udp.include_loopback = options_.include_loopback;
        udp.servers = ice_server_options(config_);
        udp.buffer_budget_bytes = config_.transport_budget_bytes;
        udp.sctp = config_.rtc_sctp == "own" ? rtc::SctpImplementation::kOwn
                                             : rtc::SctpImplementation::kUsrsctp;
        return udp;
    }

    Status try_ports() {
        hub_.reset();  // of an attempt before: a process has one usrsctp
        rtc::EndpointOptions udp = endpoint_options();
        udp.port = config_.port;
        udp.announce_addresses = config_.announce_addresses;
        udp.max_connections = config_.max_connections;
        auto hub = rtc::open_peer_hub(loop_, system_clock(), crypto::system_random(), *certificate_,
                                      udp, config_.rtc_shards);
        if (!hub) return hub.error();
        hub_ = std::move(*hub);

        http::HttpServerOptions tcp;
        tcp.bind_address = config_.host;
        tcp.port = hub_->port();
        tcp.metrics = &metrics_;
        tcp.trusted_proxies = config_.trusted_proxies;
        auto server = http::HttpServer::listen(loop_, tcp);
        if (!server) return server.error();
        http_ = std::move(*server);
        return {};
    }

    void open_dht() {
        if (!config_.uses_dht()) return;
        dht_ = std::make_unique<DhtService>(
            DhtService::Parts{loop_, *jobs_, config_, data_, *chunks_, *disk_cache_,
                              *metadata_cache_, metrics_, hub_->port()});
    }

    void open_sessions() {
        if (options_.shared_key) {
            authenticator_.emplace(*options_.shared_key, options_.id, system_clock(),
                                   crypto::system_random());
        }
        context_ = std::make_unique<session::SessionContext>(session::SessionServices{
            .chunks = *chunks_,
            .loop = loop_,
            .clock = system_clock(),
            .metrics = metrics_,
            .limits = {},
            .worker_id = options_.id,
            .agent = "kollator/" + options_.version,
            .features = {protocol::kStatKnownFeature},
            .health = [this] { return http::health_json(health()); },
            .authenticator = authenticator_ ? &*authenticator_ : nullptr,
            .discovery = dht_.get(),
        });
    }

    void open_endpoints() {
        http::WorkerHooks hooks;
        hooks.health = [this] { return health(); };
        hooks.refresh = [this](std::function<void()> on_done) {
            hub_->refresh(std::move(on_done));
        };
        hooks.stats = [this] {
            http::WorkerStats stats = make_stats(sources(), loop_.now());
            stats.direct_addresses = direct_addresses();
            if (dht_) stats.dht = dht_->stats();
            return stats;
        };
        hooks.objects = takedown_->hooks();
        if (dht_) hooks.dht = dht_->hooks();
        hooks.clear_cache = [this](std::function<void(std::size_t)> on_done) {
            clear_caches(std::move(on_done));
        };
        hooks.metrics = [this] {
            if (journal_) journal_->refresh_metrics();
            rtc_metrics_.refresh(hub_->report());
            takedown_->update_metrics();
            if (dht_) dht_->update_metrics();
            cache_upkeep_->update_metrics();
            if (fellows_) fellows_->refresh_metrics();
            return metrics_.to_text();
        };
        hooks.rtc_accept = [this](std::string_view offer, std::shared_ptr<void> pending,
                                  auto on_done) {
            FrontPeerCallbacks callbacks{[] {}, {}, std::move(pending)};
            accept(offer, std::move(callbacks), [on_done](const Result<rtc::Answer>& answer) {
                if (!answer) return on_done(answer.error());
                on_done(http::RtcAnswer{answer->peer, answer->sdp});
            });
        };
        hooks.rtc_candidates = [this](std::uint64_t peer, std::vector<std::string> candidates,
                                      auto on_done) {
            hub_->add_remote_candidates(peer, std::move(candidates), std::move(on_done));
        };
        hooks.rtc_restart = [this](std::uint64_t peer, const std::string& ufrag,
                                   const std::string& password, auto on_done) {
            hub_->restart_ice(peer, {ufrag, password}, std::move(on_done));
        };
        hooks.rtc_close = [this](std::uint64_t peer) { hub_->close(peer, "deleted"); };
        http::add_worker_endpoints(
            *http_, std::move(hooks),
            http::WorkerEndpointOptions{config_.admin_token, config_.pending_per_address},
            crypto::system_random());
    }

    void open_direct_dial() {
        if (!config_.direct_dial) return;
        hub_->accept_direct([this](rtc::PeerId peer) -> std::unique_ptr<rtc::PeerObserver> {
            if (draining_) return nullptr;
            auto session = make_session([] {});
            session->set_peer(peer);
            return session;
        });
    }

    /// Links to fellows have a socket of their own: theirs to us come from the fellow's socket, and
    /// two connections between the same two addresses cannot be told apart.
    Status open_fellows() {
        const bool any = !config_.fellows.empty() || !options_.front_urls.empty();
        if (!any || config_.fellow_wait.count() == 0 || !authenticator_) return {};
        rtc::EndpointOptions udp = endpoint_options();
        udp.max_connections = cluster::kMaxFellows;
        auto endpoint =
            rtc::open_endpoint(loop_, system_clock(), crypto::system_random(), *certificate_, udp);
        if (!endpoint) return endpoint.error();
        link_endpoint_ = std::move(*endpoint);
        cluster::FellowsOptions options;
        options.addresses = config_.fellows;
        options.wait = config_.fellow_wait;
        for (const std::string& front : options_.front_urls) {
            options.fronts.push_back({front_http_url(front), signaling_url(front)});
        }
        const protocol::Hello hello{.role = protocol::Role::kWorker,
                                    .id = options_.id,
                                    .agent = "kollator/" + options_.version};
        fellows_ = std::make_unique<cluster::Fellows>(
            cluster::Fellows::Services{loop_, system_clock(), crypto::system_random(),
                                       *link_endpoint_, *authenticator_, metrics_},
            *options_.shared_key, certificate_->fingerprint(), hello, std::move(options));
        chunks_->set_fellows(fellows_.get());
        return {};
    }

    Status open_fronts() {
        for (const std::string& front_url : options_.front_urls) {
            FrontLinkHooks hooks;
            hooks.accept = [this](const std::string& offer, FrontPeerCallbacks callbacks,
                                  rtc::PeerHub::OnAnswer on_done) {
                return accept(offer, std::move(callbacks), std::move(on_done));
            };
            hooks.renegotiate = [this](rtc::PeerId peer, const std::string& offer,
                                       rtc::PeerHub::OnAnswer on_done) {
                hub_->renegotiate(peer, offer, std::move(on_done));
            };
            hooks.add_candidate = [this](rtc::PeerId peer, const std::string& candidate,
                                         rtc::PeerHub::OnStatus on_done) {
                hub_->add_remote_candidates(peer, {candidate}, std::move(on_done));
            };
            hooks.status = [this] { return status(); };
            auto link = std::make_unique<FrontLink>(signaling_url(front_url), std::move(hooks));

            signaling::SignalingClientOptions client;
            client.id = options_.id;
            client.shared_key.assign(options_.shared_key->begin(), options_.shared_key->end());
            client.worker_url = http_url();
            client.capacity = config_.max_connections;
            if (auto started = link->start(loop_, std::move(client)); !started) return started;
            fronts_.push_back(std::move(link));
        }
        return {};
    }

    std::unique_ptr<PeerSession> make_session(std::function<void()> closed) {
        PeerSession::Connection connection;
        connection.close = [this](rtc::PeerId peer, const std::string& reason) {
            hub_->close(peer, reason);
        };
        connection.fingerprints = [this](rtc::PeerId peer) {
            std::optional<cluster::LinkFingerprints> ends;
            if (const auto offerer = hub_->peer_fingerprint(peer)) {
                ends = cluster::LinkFingerprints{*offerer, certificate_->fingerprint()};
            }
            return ends;
        };
        return std::make_unique<PeerSession>(*context_, "peer", std::move(connection),
                                             std::move(closed));
    }

    /// See PeerHub::accept.
    rtc::PeerId accept(std::string_view offer, FrontPeerCallbacks callbacks,
                       rtc::PeerHub::OnAnswer on_done) {
        if (draining_) {
            on_done(make_error(ErrorCode::kLimit, "the worker is shutting down"));
            return 0;
        }
        auto observer = make_session(std::move(callbacks.closed));
        observer->set_on_candidate(std::move(callbacks.candidate));
        observer->hold_while_pending(std::move(callbacks.pending));
        PeerSession& session = *observer;
        const rtc::PeerId peer = hub_->accept(offer, std::move(observer), std::move(on_done));
        if (peer != 0) session.set_peer(peer);
        return peer;
    }

    ReportSources sources() const {
        return {options_.id, options_.version, started_,      *disk_cache_, *cache_upkeep_,
                *store_,     *probe_,          *takedown_,    *hub_,        context_->stats(),
                fronts_,     journal_.get(),   fellows_.get()};
    }

    http::HealthReport health() const {
        http::HealthReport report = make_health(sources(), loop_.now());
        if (dht_) report.checks.push_back(dht_->health());
        return report;
    }

    void clear_caches(std::function<void(std::size_t)> on_done) {
        disk_cache_->clear([this, on_done = std::move(on_done)](std::size_t chunks) {
            metadata_cache_->clear(
                [on_done, chunks](std::size_t torrents) { on_done(chunks + torrents); });
        });
    }

    void close_what_lasts(std::function<void()> on_done) {
        if (!dht_) return close_caches(std::move(on_done));
        dht_->close([this, on_done = std::move(on_done)] { close_caches(on_done); });
    }

    void close_caches(std::function<void()> on_done) {
        cache_upkeep_->close(
            [this, on_done = std::move(on_done)]() mutable { close_folders(std::move(on_done)); });
    }

    void close_folders(std::function<void()> on_done) {
        const auto told = [](const Status& status) {
            if (!status) kLog.warn("cache order not written: {}", status.error().detail);
        };
        disk_cache_->close([this, told, on_done = std::move(on_done)](const Status& first) {
            told(first);
            metadata_cache_->close([told, on_done](const Status& second) {
                told(second);
                on_done();
            });
        });
    }

    signaling::WorkerStatus status() const {
        return {.connections = client_connections(sources()).active,
                .cache_bytes = disk_cache_->stats().size_bytes,
                .draining = draining_};
    }

    // injected
    EventLoop& loop_;
    const config::Config& config_;
    const DataDir& data_;
    const WorkerOptions options_;

    // state
    const std::filesystem::path cache_folder_ =
        config_.cache_path.empty() ? data_ / "cache" : config_.cache_path;
    const TimePoint started_ = system_clock().now();
    bool draining_ = false;

    // owned
    MetricsRegistry metrics_;
    RtcMetrics rtc_metrics_{metrics_};
    std::unique_ptr<JobPool> jobs_;
    std::unique_ptr<store::ObjectStore> store_;
    std::unique_ptr<store::JournaledStore> journal_;
    std::unique_ptr<StoreProbe> probe_;
    std::unique_ptr<cache::DiskCache> disk_cache_;
    std::unique_ptr<cache::DiskCache> metadata_cache_;
    std::unique_ptr<chunk::StoreChunkService> chunks_;
    std::unique_ptr<CacheUpkeep> cache_upkeep_;
    std::unique_ptr<Takedown> takedown_;
    std::optional<cluster::Authenticator> authenticator_;
    std::unique_ptr<DhtService> dht_;  // null: not in the DHT
    std::unique_ptr<session::SessionContext> context_;
    std::unique_ptr<rtc::Certificate> certificate_;
    std::unique_ptr<rtc::PeerHub> hub_;
    std::unique_ptr<rtc::Endpoint> link_endpoint_;  // null: no fellow is looked for
    std::unique_ptr<http::HttpServer> http_;
    std::unique_ptr<cluster::Fellows> fellows_;
    std::vector<std::unique_ptr<FrontLink>> fronts_;
};

Result<std::unique_ptr<Worker>> Worker::start(EventLoop& loop, const config::Config& config,
                                              const DataDir& data, WorkerOptions options) {
    auto parts = std::make_unique<Parts>(loop, config, data, std::move(options));
    if (auto status = parts->open(); !status) return status.error();
    return std::unique_ptr<Worker>(new Worker(std::move(parts)));
}

Worker::Worker(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Worker::~Worker() = default;

std::uint16_t Worker::port() const {
    return parts_->port();
}
std::string Worker::http_url() const {
    return parts_->http_url();
}
std::vector<std::string> Worker::direct_addresses() const {
    return parts_->direct_addresses();
}
std::string Worker::store_description() const {
    return parts_->store_description();
}
void Worker::drain(std::function<void()> on_done) {
    parts_->drain(std::move(on_done));
}

}  // namespace kollator::app
