#include "http/dht_health.h"

#include <fmt/core.h>

#include <utility>

namespace kollator::http {

HealthCheck dht_health(const DhtStats& stats) {
    const auto warn = [](std::string detail) {
        return HealthCheck{"dht", CheckStatus::kWarn, std::move(detail)};
    };
    if (!stats.listen_error.empty()) {
        return warn("cannot listen: " + stats.listen_error + "; free the port or set DHT_PORT");
    }
    if (stats.lost) {
        return warn(fmt::format("no node answered for {} s; bootstrapped anew {} times",
                                stats.silence_s, stats.rejoins));
    }
    if (stats.contacts == 0) return warn("no node of the DHT is known yet");
    if (stats.late > 0) {
        return warn(
            fmt::format("{} of {} keys were not announced within 25 minutes, the oldest "
                        "not for {} s: raise DHT_ANNOUNCE_PACKETS_PER_SECOND",
                        stats.late, stats.keys, stats.oldest_s));
    }
    if (stats.packets_needed > stats.packets_per_second) {
        return warn(
            fmt::format("to announce {} keys within 25 minutes takes {:.0f} packets a second, and "
                        "the limit is {}: raise DHT_ANNOUNCE_PACKETS_PER_SECOND, and "
                        "DHT_UPLOAD_KBPS where that is less",
                        stats.keys, stats.packets_needed, stats.packets_per_second));
    }
    if (stats.refused_keys > 0) {
        return warn(
            fmt::format("{} names are not announced: there are too many", stats.refused_keys));
    }
    return {"dht", CheckStatus::kOk,
            fmt::format("{} contacts, {} keys announced", stats.contacts, stats.keys)};
}

}  // namespace kollator::http
