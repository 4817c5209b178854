#include "app/rtc_metrics.h"

#include <string>

namespace kollator::app {
namespace {

void advance(Counter& counter, std::uint64_t from, std::uint64_t to) {
    counter.add(static_cast<double>(to - from));
}

}  // namespace

RtcMetrics::RtcMetrics(MetricsRegistry& registry)
    : registry_(registry),
      active_(registry.gauge("kollator_rtc_connections", "Peers connected now")),
      buffered_bytes_(registry.gauge("kollator_rtc_buffered_bytes",
                                     "Sent and not acknowledged, or waiting to be sent")),
      unread_bytes_(registry.gauge("kollator_rtc_unread_bytes",
                                   "Received by SCTP, and not whole yet or not read")),
      connected_(registry.counter("kollator_rtc_connections_total", "Peers ever connected")),
      bytes_sent_(registry.counter("kollator_rtc_sent_bytes_total", "UDP payload")),
      bytes_received_(registry.counter("kollator_rtc_received_bytes_total", "UDP payload")),
      packets_sent_(registry.counter("kollator_rtc_sent_packets_total", "UDP datagrams")),
      packets_received_(registry.counter("kollator_rtc_received_packets_total", "UDP datagrams")),
      send_calls_(registry.counter("kollator_rtc_send_calls_total", "System calls that sent")),
      receive_calls_(
          registry.counter("kollator_rtc_receive_calls_total", "System calls that received")),
      packets_dropped_(registry.counter(
          "kollator_rtc_dropped_packets_total",
          "UDP datagrams not sent: the kernel refused them, or had no room for long")),
      retransmitted_bytes_(registry.counter("kollator_rtc_retransmitted_bytes_total",
                                            "User data that SCTP sent again")) {}

RtcMetrics::Shard RtcMetrics::make_shard(std::size_t number) {
    const MetricLabels labels{{"shard", std::to_string(number)}};
    return {registry_.gauge("kollator_rtc_shard_connections", "Peers of the shard connected now",
                            labels),
            registry_.counter("kollator_rtc_shard_connections_total",
                              "Peers of the shard ever connected", labels),
            registry_.counter("kollator_rtc_shard_sent_bytes_total", "UDP payload", labels),
            registry_.counter("kollator_rtc_shard_received_bytes_total", "UDP payload", labels),
            {}};
}

void RtcMetrics::refresh(Shard& shard, const rtc::EndpointStats& now) {
    shard.active.set(static_cast<double>(now.active));
    advance(shard.connected, shard.last.total, now.total);
    advance(shard.bytes_sent, shard.last.bytes_sent, now.bytes_sent);
    advance(shard.bytes_received, shard.last.bytes_received, now.bytes_received);
    shard.last = now;
}

void RtcMetrics::refresh(const rtc::HubReport& report) {
    while (shards_.size() < report.shards.size()) shards_.push_back(make_shard(shards_.size()));
    for (std::size_t i = 0; i < shards_.size(); ++i) refresh(shards_[i], report.shards[i].stats);
    const rtc::EndpointStats& now = report.total;
    active_.set(static_cast<double>(now.active));
    buffered_bytes_.set(static_cast<double>(now.buffered_bytes));
    unread_bytes_.set(static_cast<double>(now.unread_bytes));
    advance(connected_, last_.total, now.total);
    advance(bytes_sent_, last_.bytes_sent, now.bytes_sent);
    advance(bytes_received_, last_.bytes_received, now.bytes_received);
    advance(packets_sent_, last_.packets_sent, now.packets_sent);
    advance(packets_received_, last_.packets_received, now.packets_received);
    advance(send_calls_, last_.send_calls, now.send_calls);
    advance(receive_calls_, last_.receive_calls, now.receive_calls);
    advance(packets_dropped_, last_.packets_dropped, now.packets_dropped);
    advance(retransmitted_bytes_, last_.retransmitted_bytes, now.retransmitted_bytes);
    last_ = now;
}

}  // namespace kollator::app
