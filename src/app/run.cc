#include "app/run.h"

#include <csignal>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>

#include "app/data_dir.h"
#include "app/worker.h"
#include "base/log.h"
#include "base/metrics.h"
#include "config/command_line.h"
#include "crypto/shared_key.h"
#include "crypto/system_random.h"
#include "front/front.h"
#include "loop/event_loop.h"
#include "loop/signal_watch.h"
#include "loop/system_clock.h"

namespace kollator::app {
namespace {

const log::Logger kLog("main");

constexpr std::chrono::seconds kFrontStopTime{2};
/// After the drain: the cache's order is written, and a front in the same process ends.
constexpr std::chrono::seconds kCloseTime{1};

/// For what an operator must read even when logs are off.
void say(const std::string& line) {
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
}

/// kInvalid, kLimit (the data folder is taken) and kUnavailable (a port, a folder) at the start are
/// the operator's to mend: the exit code says which kind.
int give_up(const Error& error) {
    std::fprintf(stderr, "kollator: %s\n", error.detail.c_str());
    return error.code == ErrorCode::kInvalid || error.code == ErrorCode::kNotFound
               ? config::kExitUsage
               : config::kExitFailure;
}

/// Runs the loop until the first SIGINT or SIGTERM, then until `drain` said that it is done; a
/// second signal, or kCloseTime beyond `drain_time`, ends it at once.
int run_until_signal(EventLoop& loop, std::chrono::seconds drain_time,
                     const std::function<void(std::function<void()> on_done)>& drain) {
    int signals = 0;
    Timer deadline(loop);
    const SignalWatch watch(loop, {SIGINT, SIGTERM}, [&](int number) {
        if (++signals > 1) return loop.stop();
        kLog.info("signal={} ending", number);
        deadline.start_after(drain_time + kCloseTime, [&loop] {
            kLog.warn("drain took too long: ending now");
            loop.stop();
        });
        drain([&loop] { loop.stop(); });
    });
    loop.run();
    return config::kExitOk;
}

std::filesystem::path key_path(const config::Config& config) {
    return config.shared_key_path.empty() ? config.data_dir / "worker.key" : config.shared_key_path;
}

Result<crypto::SharedKey> load_key(const config::Config& config) {
    const auto path = key_path(config);
    auto key = crypto::load_shared_key(posix_file_system(), path);
    if (!key && key.error().code == ErrorCode::kNotFound) {
        return make_error(ErrorCode::kNotFound,
                          "the shared key " + path.string() +
                              " is missing: make one with `kollator keygen " + path.string() +
                              "` and give the same file to every worker and front, or name it by "
                              "WORKER_SHARED_KEY_PATH");
    }
    return key;
}

/// Whether the worker does without a key where its file is missing. One that is there has to be
/// good.
bool needs_key(const config::Config& config) {
    return !config.front_urls.empty() || !config.fellows.empty() || !config.shared_key_path.empty();
}

Result<crypto::SharedKey> load_or_make_key(const config::Config& config) {
    auto key = crypto::load_shared_key(posix_file_system(), key_path(config));
    if (key || key.error().code != ErrorCode::kNotFound) return key;
    const auto made = crypto::write_new_shared_key(posix_file_system(), crypto::system_random(),
                                                   key_path(config));
    if (!made) return made.error();
    return crypto::load_shared_key(posix_file_system(), key_path(config));
}

std::vector<front::IceServer> ice_servers(const config::Config& config) {
    std::vector<front::IceServer> servers;
    if (!config.stun_servers.empty()) servers.push_back({config.stun_servers, "", ""});
    for (const config::TurnServer& turn : config.turn_servers) {
        // RTCPeerConnection refuses all servers where a TURN server has no user.
        if (config.turn_secret.empty() && (turn.username.empty() || turn.credential.empty())) {
            kLog.warn(
                "event=turn-not-for-browsers server={} why=\"neither a user and a password "
                "in TURN_SERVERS nor TURN_SECRET\"",
                turn.url);
            continue;
        }
        servers.push_back({{turn.url}, turn.username, turn.credential});
    }
    return servers;
}

Result<std::unique_ptr<front::Front>> start_front(EventLoop& loop, const config::Config& config,
                                                  const crypto::SharedKey& key,
                                                  MetricsRegistry& metrics) {
    front::FrontOptions options;
    options.bind_address = config.front_host;
    options.port = config.front_port;
    options.version = KOLLATOR_VERSION;
    options.shared_key.assign(key.begin(), key.end());
    options.worker_health_timeout = config.worker_health_timeout;
    options.ice_servers = ice_servers(config);
    options.turn_secret = config.turn_secret;
    options.trusted_proxies = config.trusted_proxies;
    options.assets = front::web_assets();
    options.metrics = &metrics;
    return front::make_front(loop, system_clock(), crypto::system_random(), std::move(options));
}

Result<WorkerOptions> worker_options(const config::Config& config, DataDir& data) {
    WorkerOptions options;
    options.version = KOLLATOR_VERSION;
    options.id = config.worker_id;
    options.front_urls = config.front_urls;
    if (options.id.empty()) {
        auto id = data.worker_id(crypto::system_random());
        if (!id) return id.error();
        options.id = std::move(*id);
    }
    return options;
}

/// Where this machine reaches what listens on `bound`, as it stands in a URL.
std::string local_host(const std::string& bound) {
    if (bound == "0.0.0.0") return "127.0.0.1";
    if (bound == "::") return "[::1]";
    return bound.find(':') == std::string::npos ? bound : "[" + bound + "]";
}

std::string page_url(std::uint16_t port) {
    return "http://localhost:" + std::to_string(port) + "/";
}

}  // namespace

int run_worker(const config::Config& config) {
    auto data = DataDir::open(posix_file_system(), config.data_dir);
    if (!data) return give_up(data.error());
    auto options = worker_options(config, *data);
    if (!options) return give_up(options.error());
    const auto key = load_key(config);
    const bool missing = !key && key.error().code == ErrorCode::kNotFound;
    if (!key && (!missing || needs_key(config))) return give_up(key.error());
    if (key) options->shared_key = *key;

    EventLoop loop;
    const std::string id = options->id;
    auto worker = Worker::start(loop, config, *data, std::move(*options));
    if (!worker) return give_up(worker.error());
    say("Worker " + id + " at " + (*worker)->http_url() + " (HTTP on TCP, data channels on UDP)");
    for (const std::string& address : (*worker)->direct_addresses()) say("Direct: " + address);
    say("Objects: " + (*worker)->store_description());
    return run_until_signal(loop, config.drain_time, [&](std::function<void()> on_done) {
        (*worker)->drain(std::move(on_done));
    });
}

int run_front(const config::Config& config) {
    const auto key = load_key(config);
    if (!key) return give_up(key.error());
    MetricsRegistry metrics;
    EventLoop loop;
    auto front = start_front(loop, config, *key, metrics);
    if (!front) return give_up(front.error());
    say("Front server: " + page_url((*front)->port()));
    return run_until_signal(loop, kFrontStopTime, [&](std::function<void()> on_done) {
        (*front)->stop(kFrontStopTime, std::move(on_done));
    });
}

int run_dev(const config::Config& config) {
    auto data = DataDir::open(posix_file_system(), config.data_dir);
    if (!data) return give_up(data.error());
    const auto key = load_or_make_key(config);
    if (!key) return give_up(key.error());
    auto options = worker_options(config, *data);
    if (!options) return give_up(options.error());
    options->shared_key = *key;
    options->include_loopback = true;

    MetricsRegistry front_metrics;
    EventLoop loop;
    auto front = start_front(loop, config, *key, front_metrics);
    if (!front) return give_up(front.error());
    const std::uint16_t front_port = (*front)->port();
    options->front_urls.push_back("ws://" + local_host(config.front_host) + ":" +
                                  std::to_string(front_port));
    auto worker = Worker::start(loop, config, *data, std::move(*options));
    if (!worker) return give_up(worker.error());

    say("Kollator is running. Objects: " + (*worker)->store_description());
    say("  Worker:   " + (*worker)->http_url() + " (HTTP on TCP, data channels on UDP)");
    for (const std::string& address : (*worker)->direct_addresses()) {
        say("  Direct:   " + address);
    }
    say("  Web page: " + page_url(front_port));
    return run_until_signal(loop, config.drain_time, [&](std::function<void()> on_done) {
        (*worker)->drain(
            [&front, on_done = std::move(on_done)] { (*front)->stop(kFrontStopTime, on_done); });
    });
}

}  // namespace kollator::app
