#include "rtc/peer_connection.h"

#include <algorithm>

namespace kollator::rtc {

namespace {

// A client begins its handshake as soon as our answer to its check arrives, while its answer to our
// check may be under way still. Its first flight is one datagram, or a few for a large ClientHello.
constexpr std::size_t kMaxEarlyDatagrams = 4;
constexpr std::size_t kMaxEarlyBytes = 2048;

}  // namespace

PeerConnection::PeerConnection(TimePoint now, PeerOptions options, const Certificate& certificate,
                               SctpStack& stack, Random& random, PeerHost& host,
                               std::unique_ptr<PeerObserver> observer)
    : options_(std::move(options)),
      host_(host),
      connect_by_(now + options_.connect_timeout),
      observer_(std::move(observer)),
      ice_(options_.ice, random),
      transport_(make_data_transport(certificate, stack, options_.transport, *this, *this)) {
    ice_.set_remote_credentials(options_.remote_ice);
}

PeerConnection::~PeerConnection() = default;

void PeerConnection::handle_stun(TimePoint now, const IcePath& path, ByteSpan datagram) {
    ice_.handle_datagram(now, path, datagram);
}

void PeerConnection::handle_data(TimePoint now, const IcePath& path, ByteSpan datagram,
                                 bool validated) {
    bytes_received_ += datagram.size();
    if (started_ && validated) {
        ice_.note_data(now, path);
        transport_->handle_datagram(datagram, now);
        return;
    }
    if (early_.size() >= kMaxEarlyDatagrams || datagram.size() > kMaxEarlyBytes) return;
    early_.push_back({path.remote, Bytes(datagram.begin(), datagram.end())});
}

void PeerConnection::handle_timeout(TimePoint now) {
    const auto due = [now](const std::optional<TimePoint>& when) { return when && *when <= now; };
    if (due(ice_.next_timeout())) ice_.handle_timeout(now);
    if (due(transport_->next_timeout())) transport_->handle_timeout(now);
    if (!connected_ && connect_by_ <= now) close("connect timeout");
}

std::optional<TimePoint> PeerConnection::next_timeout() const {
    if (finished_) return std::nullopt;
    std::optional<TimePoint> next;
    if (!connected_) next = connect_by_;
    for (const auto& when : {ice_.next_timeout(), transport_->next_timeout()}) {
        if (when && (!next || *when < *next)) next = when;
    }
    return next;
}

void PeerConnection::service(TimePoint now) {
    if (finished_) return;
    drain_ice();
    if (!started_ && ice_.send_path()) {
        started_ = true;
        transport_->start(now);
    }
    if (started_ && !early_.empty()) release_early(now);
    if (ice_.state() == IceState::kFailed) close("consent expired");
    transport_->poll(now);
}

void PeerConnection::drain_ice() {
    while (const auto event = ice_.poll_event()) {
        switch (event->kind) {
            case IceEvent::Kind::kHeard:
                host_.on_peer_address(*this, event->path.remote, false);
                break;
            case IceEvent::Kind::kValidated:
                host_.on_peer_address(*this, event->path.remote, true);
                break;
            case IceEvent::Kind::kSelected:
                remote_address_ = event->path.remote.text();
                break;
        }
    }
    while (const auto out = ice_.poll_output()) host_.send_datagram(*this, out->path, out->bytes);
}

void PeerConnection::release_early(TimePoint now) {
    for (EarlyDatagram& early : std::exchange(early_, {})) {
        if (ice_.is_valid(early.remote)) {
            transport_->handle_datagram(early.bytes, now);
        } else {
            early_.push_back(std::move(early));
        }
    }
}

void PeerConnection::close(std::string reason) {
    transport_->close(reason);
}

void PeerConnection::abandon() {
    transport_->close("endpoint closed");
}

void PeerConnection::on_transport_datagram(ByteSpan datagram) {
    const std::optional<IcePath>& path = ice_.send_path();
    if (!path) return;
    bytes_sent_ += datagram.size();
    host_.send_datagram(*this, *path, datagram);
}

void PeerConnection::on_transport_connected() {
    connected_ = true;
    host_.on_peer_connected(*this);
    observer_->on_connected();
}

std::unique_ptr<DataChannelObserver> PeerConnection::on_transport_channel(DataChannel& channel) {
    return observer_->on_channel(channel);
}

void PeerConnection::on_transport_closed(const std::string& reason) {
    if (finished_) return;
    finished_ = true;
    observer_->on_closed(reason);
}

PeerInfo PeerConnection::info() const {
    PeerInfo info;
    info.id = options_.id;
    info.connected = connected();
    info.remote_address = remote_address_;
    info.bytes_sent = bytes_sent_;
    info.bytes_received = bytes_received_;
    info.channels = transport_->channel_count();
    return info;
}

}  // namespace kollator::rtc
