#pragma once

#include <vector>

#include "base/metrics.h"
#include "rtc/peer_hub.h"

namespace kollator::app {

/// The hub's counts for Prometheus, of all shards together and of each, brought up to date when
/// somebody asks.
class RtcMetrics {
 public:
    explicit RtcMetrics(MetricsRegistry& registry);
    void refresh(const rtc::HubReport& report);

 private:
    struct Shard {
        Gauge active;
        Counter connected;
        Counter bytes_sent;
        Counter bytes_received;
        rtc::EndpointStats last;
    };

    Shard make_shard(std::size_t number);
    void refresh(Shard& shard, const rtc::EndpointStats& now);

    MetricsRegistry& registry_;
    std::vector<Shard> shards_;
    rtc::EndpointStats last_;
    Gauge active_;
    Gauge buffered_bytes_;
    Gauge unread_bytes_;
    Counter connected_;
    Counter bytes_sent_;
    Counter bytes_received_;
    Counter packets_sent_;
    Counter packets_received_;
    Counter send_calls_;
    Counter receive_calls_;
    Counter packets_dropped_;
    Counter retransmitted_bytes_;
};

}  // namespace kollator::app
