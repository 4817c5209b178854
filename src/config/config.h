#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace kollator::config {

enum class WritePolicy : std::uint8_t { kThrough, kBack };

/// A TURN server and its long-term credentials; handed to browsers, so these are no secrets of
/// ours.
struct TurnServer {
    std::string url;  ///< "turn:host:port?transport=udp"
    std::string username;
    std::string credential;

    bool operator==(const TurnServer&) const = default;
};

/// Everything that an operator can set, typed and within its range. Sizes in bytes; the settings'
/// own units stand in settings.cc, the table that this is filled from and that docs are made of.
struct Config {
    // Where things listen.
    std::string host = "0.0.0.0";
    std::uint16_t port = 8081;
    std::uint16_t front_port = 8080;
    std::string front_host = "0.0.0.0";

    // Who this worker is, and whom it knows.
    std::string worker_id;
    std::string public_url;
    std::vector<std::string> front_urls;
    std::vector<std::string> announce_addresses;
    std::vector<std::string> trusted_proxies;  ///< addresses, and networks as "10.0.0.0/8"
    std::filesystem::path shared_key_path;
    std::vector<std::string> fellows;             ///< URLs and direct addresses
    std::chrono::milliseconds fellow_wait{2000};  ///< 0: none is asked
    std::string admin_token;

    // Where bytes live.
    std::filesystem::path data_dir = "./data";
    std::filesystem::path cache_path;  ///< empty: data_dir / "cache"
    std::uint64_t cache_size_bytes = 0;
    std::uint64_t metadata_cache_size_bytes = 0;
    std::chrono::hours lru_max_age{0};
    std::chrono::hours scrub_interval{0};  ///< 0: no scrub
    std::uint64_t scrub_bytes_per_second = 0;
    std::uint32_t max_chunk_bytes = 0;
    WritePolicy write_policy = WritePolicy::kThrough;
    std::string cache_policy = "session-aware";
    std::uint64_t write_backlog_bytes = 0;
    std::uint64_t fetch_budget_bytes = 0;
    std::uint32_t prefetch_depth = 0;
    std::uint64_t prefetch_budget_bytes = 0;
    std::uint64_t upload_budget_bytes = 0;
    std::uint64_t transport_budget_bytes = 0;
    std::string rtc_sctp = "own";
    std::uint32_t rtc_shards = 1;

    // The object store; without an endpoint it is the filesystem under data_dir / "store".
    std::string s3_endpoint;
    std::string s3_bucket;
    std::string s3_region;
    std::string s3_access_key;
    std::string s3_secret_key;
    std::string s3_session_token;
    std::filesystem::path s3_access_key_file;
    std::filesystem::path s3_secret_key_file;
    std::filesystem::path s3_session_token_file;
    bool s3_path_style = true;
    std::filesystem::path s3_ca_file;
    std::filesystem::path s3_ca_path;
    std::uint32_t s3_max_transfers = 0;
    std::uint32_t s3_retry_percent = 0;
    std::uint32_t s3_breaker_failures = 0;
    std::uint64_t s3_egress_budget_bytes = 0;  ///< a calendar month; 0: none
    std::uint64_t s3_egress_limited_bytes_per_second = 0;

    // What is taken down.
    std::filesystem::path denylist_path;
    bool denylist_purges_store = false;
    std::chrono::hours min_storage{0};
    std::chrono::hours expire_after{0};

    // Peers.
    std::uint32_t max_connections = 0;
    std::uint32_t pending_per_address = 0;
    bool direct_dial = true;
    std::vector<std::string> stun_servers;
    std::vector<TurnServer> turn_servers;
    std::string turn_secret;  ///< what coturn calls static-auth-secret
    std::filesystem::path turn_ca_file;
    std::string dht_enabled = "auto";
    std::vector<std::string> dht_bootstrap_nodes;
    std::uint16_t dht_port = 0;
    bool dht_read_only = false;
    bool dht_allow_private = false;
    std::uint32_t dht_packets_per_second = 0;
    std::uint32_t dht_upload_bytes_per_second = 0;
    std::chrono::milliseconds worker_health_timeout{0};

    // The end.
    std::chrono::seconds drain_time{0};

    // Logs.
    std::string log_level;
    std::string debug;

    bool uses_dht() const {
        return dht_enabled == "auto" ? !dht_bootstrap_nodes.empty() : dht_enabled == "true";
    }
    bool uses_s3() const { return !s3_endpoint.empty(); }
};

}  // namespace kollator::config
