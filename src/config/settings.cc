#include "config/settings.h"

#include <algorithm>
#include <cctype>
#include <initializer_list>
#include <tuple>

#include "config/parse.h"
#include "config/setters.h"

namespace kollator::config {
namespace {

constexpr std::uint64_t kKilobyte = 1000;
constexpr std::uint64_t kMegabyte = 1000 * 1000;
constexpr std::uint64_t kGigabyte = 1000 * kMegabyte;
constexpr std::uint64_t kMaxMegabytes = 1'000'000'000;  // a petabyte

bool set_write_policy(Config& config, const std::string& value) {
    if (value != "through" && value != "back") return false;
    config.write_policy = value == "back" ? WritePolicy::kBack : WritePolicy::kThrough;
    return true;
}

bool is_log_level(const std::string& value) {
    const std::vector<std::string> levels{"trace", "debug", "info", "warn", "error", "off"};
    return std::find(levels.begin(), levels.end(), value) != levels.end();
}

bool is_bucket(const std::string& name) {
    return name.size() >= 3 && name.size() <= 63 &&
           std::all_of(name.begin(), name.end(), [](unsigned char c) {
               return std::islower(c) != 0 || std::isdigit(c) != 0 || c == '-' || c == '.';
           });
}

void add_addresses(std::vector<Setting>& all) {
    all.push_back({"PORT", "8081", "a port number, 0 to 65535 (0: any free one)",
                   "The worker's one port: HTTP on TCP, all data channels on UDP.", kWorker, false,
                   false, integer(&Config::port, 0, 65535)});
    all.push_back({"HOST", "0.0.0.0", "a numeric IPv4 or IPv6 address",
                   "The address that the worker listens on; `::` takes IPv6 and IPv4.", kWorker,
                   false, false, checked(&Config::host, is_ip_address)});
    all.push_back({"FRONT_PORT", "8080", "a port number, 0 to 65535 (0: any free one)",
                   "The front server's TCP port: web page, bootstrap, signaling.", kFront, false,
                   false, integer(&Config::front_port, 0, 65535)});
    all.push_back({"FRONT_HOST", "0.0.0.0", "a numeric IPv4 or IPv6 address",
                   "The address that the front server listens on.", kFront, false, false,
                   checked(&Config::front_host, is_ip_address)});
    all.push_back({"ANNOUNCE_ADDRESSES", "", "numeric addresses, separated by commas",
                   "Addresses to offer to clients in place of the machine's own (NAT 1:1).",
                   kWorker, false, false,
                   list(&Config::announce_addresses, if_good(is_ip_address))});
    all.push_back({"TRUSTED_PROXIES", "", "numeric addresses or networks, separated by commas",
                   "Reverse proxies whose `X-Forwarded-For` is believed: what is counted for each "
                   "client's address, and the front's choice of a worker, go by what they say.",
                   kBoth, false, false, list(&Config::trusted_proxies, if_good(is_ip_network))});
    all.push_back({"PUBLIC_URL", "", "an http or https URL",
                   "Where clients reach this worker's HTTP port; told to the fronts. Default: made "
                   "from the address.",
                   kWorker, false, false, checked(&Config::public_url, [](const std::string& url) {
                       return is_url(url, {"http", "https"});
                   })});
}

void add_identity(std::vector<Setting>& all) {
    all.push_back({"WORKER_ID", "", "1 to 64 letters, digits, `.`, `_` or `-`",
                   "This worker's name in the pool. Default: one that is made once and kept in "
                   "the data folder.",
                   kWorker, false, false, checked(&Config::worker_id, is_worker_id)});
    all.push_back({"FRONT_URLS", "", "ws, wss, http or https URLs, separated by commas",
                   "The front servers to register with.", kWorker, false, false,
                   list(&Config::front_urls, if_good(is_front_url))});
    all.push_back({"FELLOWS", "",
                   "http or https URLs and direct addresses (`/ip4/…`), separated by commas",
                   "Fellow workers to ask for chunks before the object store, besides those that "
                   "the fronts know; this worker itself may be among them.",
                   kWorker, false, false, list(&Config::fellows, if_good(is_fellow_address))});
    all.push_back({"FELLOW_WAIT_MS", "2000", "milliseconds, 0 to 60000 (0: no fellow is asked)",
                   "How long a fellow worker may be silent about a chunk before the object store "
                   "is asked for it.",
                   kWorker, false, false, duration(&Config::fellow_wait, 0, 60000)});
    all.push_back({"WORKER_SHARED_KEY_PATH", "", "the path of a file made by `kollator keygen`",
                   "The key that workers and fronts share. Default: `worker.key` in the data "
                   "folder, made there when missing by `kollator dev`.",
                   kBoth, false, false, path(&Config::shared_key_path)});
    all.push_back({"ADMIN_TOKEN", "", "16 characters or more",
                   "The bearer token for requests that change state; without it only loopback may.",
                   kWorker, true, false,
                   checked(&Config::admin_token,
                           [](const std::string& token) { return token.size() >= 16; })});
}

void add_storage(std::vector<Setting>& all) {
    all.push_back({"DATA_DIR", "./data", "a path",
                   "Where everything that must last is kept: certificate, key, cache, and without "
                   "S3 the objects.",
                   kBoth, false, false, path(&Config::data_dir)});
    all.push_back({"CACHE_PATH", "", "a path",
                   "The disk cache's folder. Default: `cache` in the "
                   "data folder.",
                   kWorker, false, false, path(&Config::cache_path)});
    all.push_back({"CACHE_SIZE_MB", "300", "megabytes, 1 to 1000000000",
                   "How much the disk cache may hold.", kWorker, false, false,
                   integer(&Config::cache_size_bytes, 1, kMaxMegabytes, kMegabyte)});
    all.push_back(
        {"CACHE_POLICY", "session-aware", "`session-aware`, `w-tinylfu`, `s3-fifo` or `lru`",
         "Which chunks the disk cache takes in, and which one goes for them.", kWorker, false,
         false, one_of(&Config::cache_policy, {"session-aware", "w-tinylfu", "s3-fifo", "lru"})});
    all.push_back({"METADATA_CACHE_MB", "64", "megabytes, 16 to 1000000",
                   "How much of torrents' metadata is kept on disk, beside the cache.", kWorker,
                   false, false,
                   integer(&Config::metadata_cache_size_bytes, 16, 1'000'000, kMegabyte)});
    all.push_back({"LRU_MAX_AGE_HOURS", "24", "hours, 0 to 876000 (0: no limit)",
                   "Cached chunks that nobody asked for in this time go.", kWorker, false, false,
                   duration(&Config::lru_max_age, 0, 876000)});
    all.push_back({"SCRUB_INTERVAL_HOURS", "168", "hours, 0 to 87600 (0: never)",
                   "Every cached chunk is read from the disk and checked once in this time.",
                   kWorker, false, false, duration(&Config::scrub_interval, 0, 87600)});
    all.push_back({"SCRUB_MB_PER_SECOND", "10", "megabytes a second, 1 to 10000",
                   "The most that is read for it, where it has fallen behind.", kWorker, false,
                   false, integer(&Config::scrub_bytes_per_second, 1, 10'000, kMegabyte)});
    all.push_back({"MAX_CHUNK_BYTES", "5242880", "bytes, 16384 to 67108864",
                   "The largest chunk that is accepted.", kWorker, false, false,
                   integer(&Config::max_chunk_bytes, 16384, 67108864)});
    all.push_back(
        {"WRITE_POLICY", "through", "`through` or `back`",
         "When a store is acknowledged: once the object store has it (`through`), or once "
         "it is on this disk (`back`).",
         kWorker, false, false, set_write_policy});
    all.push_back({"WRITE_BACKLOG_MB", "1000", "megabytes, 16 to 1000000000",
                   "With `WRITE_POLICY=back`, how much may wait on this disk for the object store; "
                   "past it clients are told to wait.",
                   kWorker, false, false,
                   integer(&Config::write_backlog_bytes, 16, kMaxMegabytes, kMegabyte)});
    all.push_back({"FETCH_BUDGET_MB", "128", "megabytes, 8 to 1000000",
                   "Memory for chunks that are on their way from the object store.", kWorker, false,
                   false, integer(&Config::fetch_budget_bytes, 8, 1'000'000, kMegabyte)});
    all.push_back({"PREFETCH_DEPTH", "8", "chunks, 0 to 64 (0: no prefetch)",
                   "How many chunks are fetched ahead of a reader that goes through a file in "
                   "order, at most; as many as its rate needs.",
                   kWorker, false, false, integer(&Config::prefetch_depth, 0, 64)});
    all.push_back({"PREFETCH_MB", "64", "megabytes, 0 to 1000000",
                   "The part of `FETCH_BUDGET_MB` that chunks fetched ahead may take.", kWorker,
                   false, false, integer(&Config::prefetch_budget_bytes, 0, 1'000'000, kMegabyte)});
    all.push_back({"UPLOAD_BUDGET_MB", "128", "megabytes, 8 to 1000000",
                   "Memory for chunks that clients are sending; past it they are told to wait.",
                   kWorker, false, false,
                   integer(&Config::upload_budget_bytes, 8, 1'000'000, kMegabyte)});
    all.push_back({"TRANSPORT_BUDGET_MB", "256", "megabytes, 8 to 1000000",
                   "Memory for what is on its way to peers; past it each of them gets one message "
                   "at a time. And as much for what came from them and is not used yet.",
                   kWorker, false, false,
                   integer(&Config::transport_budget_bytes, 8, 1'000'000, kMegabyte)});
    all.push_back({"RTC_SCTP", "own", "`own` or `usrsctp`",
                   "Whose SCTP carries the data channels: Kollator's own or Debian's usrsctp.",
                   kWorker, false, false, one_of(&Config::rtc_sctp, {"own", "usrsctp"})});
    all.push_back({"RTC_SHARDS", "1", "1 to 64",
                   "UDP sockets for data channels: `PORT` and the numbers that follow. From 2 on "
                   "each has a thread of its own, which needs a core.",
                   kWorker, false, false, integer(&Config::rtc_shards, 1, 64)});
}

void add_s3(std::vector<Setting>& all) {
    all.push_back({"S3_ENDPOINT", "", "an http or https URL",
                   "The S3-compatible object store. Without it, objects are files in the data "
                   "folder.",
                   kWorker, false, false, checked(&Config::s3_endpoint, [](const std::string& url) {
                       return is_url(url, {"http", "https"});
                   })});
    all.push_back({"S3_BUCKET", "", "a bucket name (3 to 63 of a-z, 0-9, `-`, `.`)", "The bucket.",
                   kWorker, false, false, checked(&Config::s3_bucket, is_bucket)});
    all.push_back({"S3_REGION", "us-east-1", "a region name",
                   "The region that requests are signed for.", kWorker, false, false,
                   checked(&Config::s3_region, is_worker_id)});
    all.push_back({"S3_ACCESS_KEY", "", "an access key id", "AWS_ACCESS_KEY_ID is read too.",
                   kWorker, true, false, text(&Config::s3_access_key)});
    all.push_back({"S3_SECRET_KEY", "", "a secret access key", "AWS_SECRET_ACCESS_KEY is read too.",
                   kWorker, true, false, text(&Config::s3_secret_key)});
    all.push_back({"S3_SESSION_TOKEN", "", "a session token", "AWS_SESSION_TOKEN is read too.",
                   kWorker, true, false, text(&Config::s3_session_token)});
    all.push_back(
        {"S3_ACCESS_KEY_FILE", "", "the path of a file",
         "A file that holds the access key id, in place of S3_ACCESS_KEY; read again when "
         "it changes. AWS_ACCESS_KEY_ID_FILE is read too.",
         kWorker, false, false, path(&Config::s3_access_key_file)});
    all.push_back({"S3_SECRET_KEY_FILE", "", "the path of a file",
                   "The same for the secret access key. AWS_SECRET_ACCESS_KEY_FILE is read too.",
                   kWorker, false, false, path(&Config::s3_secret_key_file)});
    all.push_back({"S3_SESSION_TOKEN_FILE", "", "the path of a file",
                   "The same for the session token. AWS_SESSION_TOKEN_FILE is read too.", kWorker,
                   false, false, path(&Config::s3_session_token_file)});
    all.push_back({"S3_PATH_STYLE", "true", "`true` or `false`",
                   "Whether the bucket stands in the path (`true`) or in the host name.", kWorker,
                   false, false, boolean(&Config::s3_path_style)});
    all.push_back({"S3_CA_FILE", "", "the path of a PEM file",
                   "Certificate authorities for the store, in place of the system's. "
                   "AWS_CA_BUNDLE is read too.",
                   kWorker, false, false, path(&Config::s3_ca_file)});
    all.push_back({"S3_CA_PATH", "", "the path of a folder",
                   "The same as a folder of certificates named by their hash (`openssl rehash`).",
                   kWorker, false, false, path(&Config::s3_ca_path)});
    all.push_back({"S3_MAX_TRANSFERS", "64", "1 to 1024", "Transfers in flight at once.", kWorker,
                   false, false, integer(&Config::s3_max_transfers, 1, 1024)});
    all.push_back({"S3_RETRY_PERCENT", "10", "percent, 0 to 100",
                   "How many of a minute's requests to the store may be sent again; ten in any "
                   "case.",
                   kWorker, false, false, integer(&Config::s3_retry_percent, 0, 100)});
    all.push_back({"S3_BREAKER_FAILURES", "5", "0 to 1000 (0: never)",
                   "So many requests in a row that the store does not answer, or answers with a "
                   "5xx, over at least a second, open the circuit: requests fail at once until one "
                   "finds it back.",
                   kWorker, false, false, integer(&Config::s3_breaker_failures, 0, 1000)});
    all.push_back({"S3_EGRESS_BUDGET_GB", "0", "gigabytes, 0 to 1000000 (0: none)",
                   "What may be received from the store in a calendar month (UTC); `/health` warns "
                   "at 80 %, and past it misses are slowed.",
                   kWorker, false, false,
                   integer(&Config::s3_egress_budget_bytes, 0, 1'000'000, kGigabyte)});
    all.push_back({"S3_EGRESS_LIMITED_KBPS", "1000", "kilobytes a second, 1 to 10000000",
                   "The rate that misses get together once that budget is used up.", kWorker, false,
                   false,
                   integer(&Config::s3_egress_limited_bytes_per_second, 1, 10'000'000, kKilobyte)});
}

void add_takedown(std::vector<Setting>& all) {
    all.push_back(
        {"DENYLIST_PATH", "", "the path of a file",
         "Chunks and torrents that are refused on every path: one hash a line, `#` begins "
         "a comment. A change is in force within a second.",
         kWorker, false, false, path(&Config::denylist_path)});
    all.push_back(
        {"DENYLIST_PURGE_STORE", "false", "`true` or `false`",
         "Whether what the denylist names is deleted from the object store too, for good.", kWorker,
         false, false, boolean(&Config::denylist_purges_store)});
    all.push_back({"S3_MIN_STORAGE_DAYS", "0", "days, 0 to 3650 (0: delete at once)",
                   "The provider's minimum storage duration: the deletion of a younger object is "
                   "hidden at once and carried out when it is that old.",
                   kWorker, false, false, days(&Config::min_storage, 0, 3650)});
    all.push_back({"EXPIRE_AFTER_DAYS", "0", "days, 0 to 36500 (0: never)",
                   "Objects that were stored longer ago are deleted from the object store.",
                   kWorker, false, false, days(&Config::expire_after, 0, 36500)});
}

void add_network(std::vector<Setting>& all) {
    all.push_back({"MAX_CONNECTIONS", "4096", "1 to 65535",
                   "Peer connections at once; further ones are told to come back.", kWorker, false,
                   false, integer(&Config::max_connections, 1, 65535)});
    all.push_back({"PENDING_PER_ADDRESS", "64", "1 to 65535",
                   "Connections by `POST /rtc` from one client address (of IPv6, its /64) that are "
                   "not up yet; further ones are told to come back. Behind a proxy set "
                   "TRUSTED_PROXIES, too.",
                   kWorker, false, false, integer(&Config::pending_per_address, 1, 65535)});
    all.push_back({"DIRECT_DIAL", "true", "`true` or `false`",
                   "Whether clients may connect by the worker's direct address alone, without "
                   "signaling.",
                   kWorker, false, false, boolean(&Config::direct_dial)});
    all.push_back({"STUN_SERVERS", "", "stun:host[:port] entries, separated by commas",
                   "STUN servers: the worker learns from them how it looks from outside a NAT, and "
                   "the front hands them to browsers.",
                   kBoth, false, false, list(&Config::stun_servers, [](const std::string& item) {
                       return parse_stun_server(item);
                   })});
    all.push_back({"TURN_SERVERS", "",
                   "turn: or turns:[user:password@]host[:port][?transport=udp|tcp] entries, "
                   "separated by commas",
                   "TURN servers: the worker offers an address on each, for clients that cannot "
                   "reach it otherwise, and the front hands them to browsers.",
                   kBoth, false, false, list(&Config::turn_servers, [](const std::string& item) {
                       return parse_turn_server(item);
                   })});
    all.push_back(
        {"TURN_SECRET", "", "a secret shared with the TURN servers",
         "What coturn calls `static-auth-secret`: TURN user names and passwords are made from it, "
         "in place of those in TURN_SERVERS: the worker's own, and by the front one for each "
         "client, for a day.",
         kBoth, true, false, text(&Config::turn_secret)});
    all.push_back({"TURN_CA_FILE", "", "the path of a PEM file",
                   "Certificate authorities for `turns:` servers, in place of the system's.",
                   kWorker, false, false, path(&Config::turn_ca_file)});
    all.push_back({"WORKER_HEALTH_TIMEOUT", "1000", "milliseconds, 100 to 600000",
                   "A worker from which a front hears nothing for this long (and a second of "
                   "grace) leaves the pool.",
                   kFront, false, false, duration(&Config::worker_health_timeout, 100, 600000)});
}

void add_dht(std::vector<Setting>& all) {
    all.push_back({"DHT_ENABLED", "auto", "`auto`, `true` or `false`",
                   "Whether the worker takes part in the BitTorrent DHT. `auto`: where "
                   "DHT_BOOTSTRAP_NODES names somebody, so that nothing leaves this machine "
                   "unasked.",
                   kWorker, false, false,
                   checked(&Config::dht_enabled, [](const std::string& word) {
                       return word == "auto" || word == "true" || word == "false";
                   })});
    all.push_back({"DHT_BOOTSTRAP_NODES", "", "host:port entries, separated by commas",
                   "Where the BitTorrent DHT is entered, such as "
                   "`router.bittorrent.com:6881,dht.transmissionbt.com:6881`.",
                   kWorker, false, false,
                   list(&Config::dht_bootstrap_nodes, if_good(is_host_port))});
    all.push_back({"DHT_PORT", "6881", "a port number, 0 to 65535 (0: any free one)",
                   "The UDP port of the DHT node.", kWorker, false, false,
                   integer(&Config::dht_port, 0, 65535)});
    all.push_back({"DHT_READ_ONLY", "false", "`true` or `false`",
                   "For a worker that others cannot reach at DHT_PORT: it asks, and tells others "
                   "to ask it nothing (BEP 43).",
                   kWorker, false, false, boolean(&Config::dht_read_only)});
    all.push_back({"DHT_ANNOUNCE_PACKETS_PER_SECOND", "2000", "packets a second, 10 to 100000",
                   "The most that announcing may send. A key takes about 18 packets in 25 minutes: "
                   "2,000 a second are enough for 100,000 keys.",
                   kWorker, false, false, integer(&Config::dht_packets_per_second, 10, 100'000)});
    all.push_back({"DHT_UPLOAD_KBPS", "2000", "kilobytes a second, 100 to 1000000",
                   "The most that the DHT node may send, its answers to others included.", kWorker,
                   false, false,
                   integer(&Config::dht_upload_bytes_per_second, 100, 1'000'000, kKilobyte)});
    all.push_back({"DHT_ALLOW_PRIVATE", "false", "`true` or `false`",
                   "Whether private and loopback addresses are taken from the DHT, dialled and "
                   "handed to clients: for private networks and tests.",
                   kWorker, false, false, boolean(&Config::dht_allow_private)});
}

void add_logs(std::vector<Setting>& all) {
    all.push_back({"DRAIN_SECONDS", "8", "seconds, 1 to 3600",
                   "How long a worker that is told to end may take to finish what is under way and "
                   "to send its write backlog.",
                   kWorker, false, false, duration(&Config::drain_time, 1, 3600)});
    all.push_back({"LOG_LEVEL", "info", "`trace`, `debug`, `info`, `warn`, `error` or `off`",
                   "What is logged, to standard error.", kBoth, false, false,
                   checked(&Config::log_level, is_log_level)});
    all.push_back({"DEBUG", "", "namespaces such as `kollator:*,-kollator:rtc`",
                   "Layers that log everything.", kBoth, false, false, text(&Config::debug)});
}

void check_credentials(const Config& config, const std::function<void(const std::string&)>& fault) {
    const bool has_access = !config.s3_access_key.empty() || !config.s3_access_key_file.empty();
    const bool has_secret = !config.s3_secret_key.empty() || !config.s3_secret_key_file.empty();
    if (has_access != has_secret) {
        fault("S3_ACCESS_KEY and S3_SECRET_KEY (or their files): expected both or neither");
    }
    for (const auto& [value, file, name] :
         {std::tuple(&config.s3_access_key, &config.s3_access_key_file, "S3_ACCESS_KEY"),
          std::tuple(&config.s3_secret_key, &config.s3_secret_key_file, "S3_SECRET_KEY"),
          std::tuple(&config.s3_session_token, &config.s3_session_token_file,
                     "S3_SESSION_TOKEN")}) {
        if (value->empty() || file->empty()) continue;
        fault(std::string(name) + " and " + name + "_FILE: expected one of them");
    }
}

/// Values that are good alone but not together.
void check_combinations(Loaded& loaded) {
    Config& config = loaded.config;
    const auto fault = [&](const std::string& line) { loaded.faults.push_back(line); };
    if (config.denylist_purges_store && config.denylist_path.empty()) {
        fault("DENYLIST_PATH=\"\": expected a path, since DENYLIST_PURGE_STORE is set");
    }
    if (config.uses_s3()) {
        if (config.s3_bucket.empty()) {
            fault("S3_BUCKET=\"\": expected a bucket name, since S3_ENDPOINT is set");
        }
        check_credentials(config, fault);
    } else if (!config.s3_bucket.empty()) {
        fault("S3_ENDPOINT=\"\": expected an http or https URL, since S3_BUCKET is set");
    }
    if (config.cache_size_bytes < config.max_chunk_bytes) {
        fault("CACHE_SIZE_MB=\"" + std::to_string(config.cache_size_bytes / kMegabyte) +
              "\": expected room for one chunk of MAX_CHUNK_BYTES (" +
              std::to_string(config.max_chunk_bytes) + ") at least");
    }
    for (const auto& [budget, name] : {std::pair(config.fetch_budget_bytes, "FETCH_BUDGET_MB"),
                                       std::pair(config.upload_budget_bytes, "UPLOAD_BUDGET_MB"),
                                       std::pair(config.write_backlog_bytes, "WRITE_BACKLOG_MB")}) {
        if (budget < config.max_chunk_bytes) {
            fault(std::string(name) + "=\"" + std::to_string(budget / kMegabyte) +
                  "\": expected room for one chunk of MAX_CHUNK_BYTES at least");
        }
    }
}

using NamePair = std::pair<const char*, const char*>;

/// Fills what is not given from the first other name that is.
void take_other_names(Variables& variables, std::initializer_list<NamePair> names) {
    for (const auto& [ours, theirs] : names) {
        const auto other = variables.find(theirs);
        if (other == variables.end() || other->second.empty()) continue;
        if (variables[ours].empty()) variables[ours] = other->second;
    }
}

/// Other names that operators of S3 expect; our own come first. Credentials belong together: where
/// one of ours is given, none of theirs is mixed with it.
void add_aws_names(Variables& variables) {
    take_other_names(variables, {{"S3_REGION", "AWS_REGION"},
                                 {"S3_REGION", "AWS_DEFAULT_REGION"},
                                 {"S3_ENDPOINT", "AWS_ENDPOINT_URL_S3"},
                                 {"S3_ENDPOINT", "AWS_ENDPOINT_URL"},
                                 {"S3_CA_FILE", "AWS_CA_BUNDLE"}});
    const char* const own[] = {"S3_ACCESS_KEY",      "S3_SECRET_KEY",      "S3_SESSION_TOKEN",
                               "S3_ACCESS_KEY_FILE", "S3_SECRET_KEY_FILE", "S3_SESSION_TOKEN_FILE"};
    const bool has_own = std::any_of(std::begin(own), std::end(own), [&](const char* name) {
        const auto found = variables.find(name);
        return found != variables.end() && !found->second.empty();
    });
    if (has_own) return;
    take_other_names(variables, {{"S3_ACCESS_KEY", "AWS_ACCESS_KEY_ID"},
                                 {"S3_SECRET_KEY", "AWS_SECRET_ACCESS_KEY"},
                                 {"S3_SESSION_TOKEN", "AWS_SESSION_TOKEN"},
                                 {"S3_ACCESS_KEY_FILE", "AWS_ACCESS_KEY_ID_FILE"},
                                 {"S3_SECRET_KEY_FILE", "AWS_SECRET_ACCESS_KEY_FILE"},
                                 {"S3_SESSION_TOKEN_FILE", "AWS_SESSION_TOKEN_FILE"}});
}

}  // namespace

std::string Setting::flag() const {
    std::string result = "--";
    for (const char c : name) {
        result.push_back(c == '_' ? '-' : static_cast<char>(std::tolower(c)));
    }
    return result;
}

const std::vector<Setting>& settings() {
    static const std::vector<Setting> kSettings = [] {
        std::vector<Setting> all;
        add_addresses(all);
        add_identity(all);
        add_storage(all);
        add_s3(all);
        add_takedown(all);
        add_network(all);
        add_dht(all);
        add_logs(all);
        return all;
    }();
    return kSettings;
}

Loaded load(const Variables& file, const Variables& environment, const Variables& flags) {
    Variables given = file;
    for (const Variables* source : {&environment, &flags}) {
        for (const auto& [name, value] : *source) {
            if (!value.empty()) given[name] = value;
        }
    }
    add_aws_names(given);

    Loaded loaded;
    for (const Setting& setting : settings()) {
        const auto found = given.find(setting.name);
        const bool is_given = found != given.end() && !found->second.empty();
        const std::string value = is_given ? found->second : setting.default_text;
        if (value.empty()) continue;
        if (!setting.set(loaded.config, value)) {
            loaded.faults.push_back(setting.name + "=\"" + (setting.secret ? "…" : value) +
                                    "\": expected " + setting.expected);
        } else if (is_given && setting.reserved) {
            loaded.notices.push_back(setting.name + " is set, but not used yet by this version");
        }
    }
    if (loaded.faults.empty()) check_combinations(loaded);
    return loaded;
}

Result<Variables> parse_file(const std::string& text, const std::string& file_name) {
    Variables variables;
    std::size_t line_number = 0;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find('\n', begin), text.size());
        std::string line = text.substr(begin, end - begin);
        begin = end + 1;
        ++line_number;
        const auto where = file_name + ":" + std::to_string(line_number) + ": ";
        line.erase(0, line.find_first_not_of(" \t\r"));
        line.erase(line.find_last_not_of(" \t\r") + 1);
        if (line.empty() || line.front() == '#') continue;

        const std::size_t equals = line.find('=');
        if (equals == std::string::npos) {
            return make_error(ErrorCode::kInvalid, where + "expected NAME=value");
        }
        const std::string name = line.substr(0, equals);
        std::string value = line.substr(equals + 1);
        if (value.size() >= 2 && (value.front() == '"' || value.front() == '\'') &&
            value.back() == value.front()) {
            value = value.substr(1, value.size() - 2);
        }
        const auto known = [&](const Setting& setting) { return setting.name == name; };
        if (std::none_of(settings().begin(), settings().end(), known)) {
            return make_error(ErrorCode::kInvalid,
                              where + name + " is no setting; `kollator settings` lists them all");
        }
        variables[name] = value;
    }
    return variables;
}

}  // namespace kollator::config
