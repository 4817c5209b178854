#pragma once

#include "base/metrics.h"
#include "rtc/endpoint.h"

namespace kollator::app {

/// The endpoint's counts for Prometheus, brought up to date when somebody asks.
class RtcMetrics {
 public:
    explicit RtcMetrics(MetricsRegistry& registry);
    void refresh(const rtc::EndpointStats& now);

 private:
    rtc::EndpointStats last_;
    Gauge active_;
    Gauge buffered_bytes_;
    Counter connected_;
    Counter bytes_sent_;
    Counter bytes_received_;
    Counter packets_sent_;
    Counter packets_received_;
    Counter send_calls_;
    Counter receive_calls_;
    Counter retransmitted_bytes_;
};

}  // namespace kollator::app
