#include "rtc/peer_connection.h"

#include <algorithm>
#include <utility>

#include "rtc/channel/dcep.h"

namespace kollator::rtc {

namespace {

// A client begins its handshake as soon as our answer to its check arrives, while its answer to our
// check may be under way still. Its first flight is one datagram, or a few for a large ClientHello.
constexpr std::size_t kMaxEarlyDatagrams = 4;
constexpr std::size_t kMaxEarlyBytes = 2048;
// What may have been of another client is of no use after a round trip.
constexpr Duration kHoldStray = std::chrono::seconds(1);
// A client restarts when its network changes: some times in a row while it moves.
constexpr std::size_t kMaxRestarts = 5;
constexpr Duration kRestartsWithin = std::chrono::minutes(1);
// Half of the 256 streams of an association: each side opens those of its own parity (RFC 8832 6).
constexpr std::size_t kMaxWantedChannels = 128;

}  // namespace

PeerConnection::PeerConnection(TimePoint now, PeerOptions options, const Certificate& certificate,
                               SctpStack& stack, Random& random, PeerHost& host,
                               std::unique_ptr<PeerObserver> observer)
    : options_(std::move(options)),
      certificate_(certificate),
      stack_(stack),
      random_(random),
      host_(host),
      observer_(std::move(observer)),
      deadline_(now + options_.connect_timeout),
      ice_(std::make_unique<IceAgent>(options_.ice, random)) {}

PeerConnection::~PeerConnection() = default;

void PeerConnection::set_remote(IceCredentials ice, DataTransportOptions transport) {
    ice_->set_remote_credentials(std::move(ice));
    remote_ = std::move(transport);
}

bool PeerConnection::may_restart_ice(TimePoint now) const {
    return restarts_.size() < kMaxRestarts || restarts_.front() + kRestartsWithin <= now;
}

void PeerConnection::restart_ice(TimePoint now, IceOptions options, IceCredentials remote) {
    restarts_.push_back(now);
    if (restarts_.size() > kMaxRestarts) restarts_.pop_front();
    // One that has found no path yet is of no use to anybody.
    if (ice_->send_path()) previous_ice_ = std::move(ice_);
    ice_ = std::make_unique<IceAgent>(std::move(options), random_);
    ice_->set_remote_credentials(std::move(remote));
    deadline_ = now + options_.connect_timeout;
}

void PeerConnection::add_local_candidate(const Candidate& candidate) {
    ice_->add_local_candidate(candidate);
    if (!connected_) new_candidates_.push_back(format_candidate(candidate));
}

Status PeerConnection::open_channel(const ChannelOptions& options) {
    if (finished_ || !end_.empty()) return make_error(ErrorCode::kCancelled, "closed");
    if (transport_) {
        const Result<std::uint16_t> opened = transport_->open_channel(options);
        return opened.ok() ? Status() : Status(opened.error());
    }
    if (std::max(options.label.size(), options.protocol.size()) > kMaxChannelNameBytes) {
        return make_error(ErrorCode::kInvalid, "channel: label or protocol too long");
    }
    if (wanted_channels_.size() >= kMaxWantedChannels) {
        return make_error(ErrorCode::kLimit, "channel: too many");
    }
    wanted_channels_.push_back(options);
    return {};
}

void PeerConnection::handle_stun(TimePoint now, const IcePath& path, ByteSpan datagram) {
    // Each takes what its own credentials prove, and nothing else.
    ice_->handle_datagram(now, path, datagram);
    if (previous_ice_) previous_ice_->handle_datagram(now, path, datagram);
}

void PeerConnection::handle_data(TimePoint now, const IcePath& path, ByteSpan datagram,
                                 bool validated) {
    bytes_received_ += datagram.size();
    if (transport_ && validated) {
        ice_->note_data(now, path);
        if (previous_ice_) previous_ice_->note_data(now, path);
        transport_->handle_datagram(datagram, now);
        return;
    }
    hold_back({path, Bytes(datagram.begin(), datagram.end())});
}

void PeerConnection::check_stray(TimePoint now, const IcePath& path, ByteSpan datagram) {
    working_ice().check_stray(now, path);
    hold_back({path, Bytes(datagram.begin(), datagram.end()), now + kHoldStray});
}

void PeerConnection::hold_back(EarlyDatagram early) {
    if (early_.size() >= kMaxEarlyDatagrams || early.bytes.size() > kMaxEarlyBytes) return;
    early_.push_back(std::move(early));
}

void PeerConnection::handle_timeout(TimePoint now) {
    const auto due = [now](const std::optional<TimePoint>& when) { return when && *when <= now; };
    if (due(ice_->next_timeout())) ice_->handle_timeout(now);
    if (previous_ice_ && due(previous_ice_->next_timeout())) previous_ice_->handle_timeout(now);
    if (transport_ && due(transport_->next_timeout())) transport_->handle_timeout(now);
    if (!due(deadline_)) return;
    if (!connected_ || !previous_ice_) return close("connect timeout");
    // RFC 8445 9 keeps the old paths until there are new ones; none came.
    ice_ = std::move(previous_ice_);
    deadline_.reset();
}

std::optional<TimePoint> PeerConnection::next_timeout() const {
    if (finished_) return std::nullopt;
    std::optional<TimePoint> next = deadline_;
    const auto consider = [&next](const std::optional<TimePoint>& when) {
        if (when && (!next || *when < *next)) next = when;
    };
    consider(ice_->next_timeout());
    if (previous_ice_) consider(previous_ice_->next_timeout());
    if (transport_) consider(transport_->next_timeout());
    return next;
}

void PeerConnection::service(TimePoint now) {
    if (finished_) return;
    if (previous_ice_) drain(*previous_ice_);
    drain(*ice_);
    for (const std::string& candidate : std::exchange(new_candidates_, {})) {
        observer_->on_local_candidate(candidate);
    }
    if (previous_ice_ && ice_->send_path()) {
        previous_ice_.reset();
        if (connected_) deadline_.reset();
    }
    if (remote_ && !transport_ && end_.empty() && ice_->send_path()) begin_transport(now);
    if (transport_ && std::exchange(path_is_new_, false)) transport_->on_new_path(now);
    if (transport_ && !early_.empty()) release_early(now);
    if (ice_->state() == IceState::kFailed) close("consent expired");
    if (transport_) {
        transport_->poll(now);
        if (std::exchange(noted_bytes_sent_, bytes_sent_) != bytes_sent_) {
            working_ice().note_sent(now);
        }
    } else if (!end_.empty()) {
        on_transport_closed(end_);
    }
}

void PeerConnection::drain(IceAgent& agent) {
    while (const auto event = agent.poll_event()) {
        switch (event->kind) {
            case IceEvent::Kind::kHeard:
                host_.on_peer_address(*this, event->path, false);
                break;
            case IceEvent::Kind::kValidated:
                host_.on_peer_address(*this, event->path, true);
                break;
            case IceEvent::Kind::kSelected:
                remote_address_ = event->path.remote.text();
                relayed_ = event->path.relay != 0;
                path_is_new_ = true;
                host_.on_peer_path(*this, event->path);
                break;
        }
    }
    while (const auto out = agent.poll_output()) host_.send_datagram(*this, out->path, out->bytes);
}

void PeerConnection::begin_transport(TimePoint now) {
    transport_ = make_data_transport(certificate_, stack_, *remote_, *this, *this);
    // What was wanted was held against the transport's own bounds already.
    for (const ChannelOptions& channel : std::exchange(wanted_channels_, {})) {
        static_cast<void>(transport_->open_channel(channel).ok());
    }
    transport_->start(now);
}

bool PeerConnection::is_valid(const IcePath& path) const {
    return ice_->is_valid(path) || (previous_ice_ && previous_ice_->is_valid(path));
}

bool PeerConnection::sends_on(const IcePath& path) const {
    const auto on = [&path](const IceAgent& agent) {
        return agent.send_path() && agent.send_path()->leads_as(path);
    };
    return on(*ice_) || (previous_ice_ && on(*previous_ice_));
}

void PeerConnection::release_early(TimePoint now) {
    for (EarlyDatagram& early : std::exchange(early_, {})) {
        if (is_valid(early.path)) {
            transport_->handle_datagram(early.bytes, now);
        } else if (now < early.drop_at) {
            early_.push_back(std::move(early));
        }
    }
}

void PeerConnection::close(std::string reason) {
    closing_ = true;
    if (transport_) {
        transport_->close(reason);
    } else if (end_.empty()) {
        end_ = std::move(reason);
    }
}

void PeerConnection::abandon() {
    close("endpoint closed");
}

void PeerConnection::on_transport_datagram(ByteSpan datagram) {
    const std::optional<IcePath>& path = working_ice().send_path();
    if (!path) return;
    bytes_sent_ += datagram.size();
    host_.send_datagram(*this, *path, datagram);
}

void PeerConnection::on_transport_connected() {
    connected_ = true;
    if (!previous_ice_) deadline_.reset();
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
    info.relayed = relayed_;
    info.bytes_sent = bytes_sent_;
    info.bytes_received = bytes_received_;
    info.channels = transport_ ? transport_->channel_count() : 0;
    info.zero_checksum = transport_ && transport_->zero_checksum();
    if (transport_) info.remote_fingerprint = transport_->peer_fingerprint();
    return info;
}

}  // namespace kollator::rtc
