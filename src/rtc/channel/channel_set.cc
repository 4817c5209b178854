#include "rtc/channel/channel_set.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace kollator::rtc {
namespace {

const log::Logger kLog("rtc");

/// Channels of one peer, both sides' together, and the streams that we negotiate.
constexpr std::size_t kMaxChannels = 256;
constexpr std::uint16_t kMaxStreams = 256;

SctpSendOptions control_options(std::uint16_t stream) {
    SctpSendOptions options;
    options.stream = stream;
    options.ppid = static_cast<std::uint32_t>(Ppid::kDcep);
    return options;
}

SctpSendOptions data_options(std::uint16_t stream, const DcepOpen& open, Ppid ppid) {
    SctpSendOptions options;
    options.stream = stream;
    options.ppid = static_cast<std::uint32_t>(ppid);
    options.ordered = open.ordered;
    const auto parameter =
        static_cast<std::int32_t>(std::min<std::uint32_t>(open.reliability_parameter, INT32_MAX));
    if (open.reliability == Reliability::kMaxRetransmits) options.max_retransmits = parameter;
    if (open.reliability == Reliability::kMaxLifetime) options.max_lifetime_ms = parameter;
    return options;
}

}  // namespace

// ---------------------------------------------------------------------------------------------
// Channel

Channel::Channel(ChannelSet& set, std::uint16_t stream, DcepOpen open, State state)
    : set_(set), stream_(stream), open_(std::move(open)), state_(state) {}

std::size_t Channel::max_message_bytes() const {
    return set_.max_message_bytes_;
}

Status Channel::send(ByteSpan head, ByteSpan body) {
    return set_.send_data(*this, head, body);
}

Status Channel::give(MessageBlock& message) {
    return set_.give_data(*this, message);
}

std::size_t Channel::buffered_bytes() const {
    return set_.association_ == nullptr ? 0 : set_.association_->buffered_bytes();
}

std::size_t Channel::writable_bytes() const {
    if (state_ != State::kOpen || set_.association_ == nullptr) return 0;
    return set_.association_->writable_bytes();
}

void Channel::close() {
    if (state_ == State::kClosing) return;
    state_ = State::kClosing;
    set_.reset(stream_);
}

// ---------------------------------------------------------------------------------------------
// ChannelSet

ChannelSet::ChannelSet(DtlsRole role, std::size_t max_message_bytes,
                       DataTransportObserver& observer)
    : observer_(observer),
      first_stream_(role == DtlsRole::kClient ? 0 : 1),
      max_message_bytes_(max_message_bytes) {}

ChannelSet::~ChannelSet() = default;

std::size_t ChannelSet::size() const {
    return static_cast<std::size_t>(
        std::count_if(streams_.begin(), streams_.end(),
                      [](const auto& entry) { return !!entry.second.channel; }));
}

Result<std::uint16_t> ChannelSet::open(const ChannelOptions& options) {
    if (options.label.size() > kMaxChannelNameBytes ||
        options.protocol.size() > kMaxChannelNameBytes) {
        return make_error(ErrorCode::kInvalid, "channel: label or protocol is too long");
    }
    const std::uint16_t limit = association_ == nullptr
                                    ? kMaxStreams
                                    : std::min(kMaxStreams, association_->outgoing_streams());
    std::uint16_t stream = first_stream_;
    while (stream < limit && streams_.contains(stream))
        stream = static_cast<std::uint16_t>(stream + 2);
    if (stream >= limit || streams_.size() >= kMaxChannels) {
        return make_error(ErrorCode::kLimit, "channel: no stream is free");
    }
    DcepOpen open;
    open.ordered = options.ordered;
    open.label = options.label;
    open.protocol = options.protocol;
    const bool up = association_ != nullptr;
    Bytes message = build_dcep_open(open);
    streams_[stream].channel = std::make_unique<Channel>(
        *this, stream, std::move(open), up ? Channel::State::kOpening : Channel::State::kQueued);
    if (up) send_control(stream, std::move(message));
    return stream;
}

void ChannelSet::on_connected(SctpAssociation& association) {
    association_ = &association;
    for (auto& [stream, entry] : streams_) {
        Channel& channel = *entry.channel;
        if (channel.state_ != Channel::State::kQueued) continue;
        channel.state_ = Channel::State::kOpening;
        send_control(stream, build_dcep_open(channel.open_));
    }
}

void ChannelSet::on_message(std::uint16_t stream, std::uint32_t ppid, ByteSpan message) {
    if (ppid == static_cast<std::uint32_t>(Ppid::kDcep)) {
        on_dcep(stream, message);
        return;
    }
    const auto found = streams_.find(stream);
    if (found == streams_.end() || !found->second.channel)
        return;  // never opened, or already reset
    Channel& channel = *found->second.channel;
    // An unordered channel's first message may overtake the ACK: it says the same.
    if (channel.state_ == Channel::State::kOpening) present(channel);
    if (channel.state_ != Channel::State::kOpen) return;
    switch (static_cast<Ppid>(ppid)) {
        case Ppid::kString:
            channel.observer_->on_message(message, false);
            break;
        case Ppid::kBinary:
            channel.observer_->on_message(message, true);
            break;
        case Ppid::kStringEmpty:
            channel.observer_->on_message({}, false);
            break;
        case Ppid::kBinaryEmpty:
            channel.observer_->on_message({}, true);
            break;
        default:  // 52 and 54, the old partial messages, and unknown ones (RFC 8831 6.6)
            kLog.debug("ignored=message stream={} ppid={}", stream, ppid);
            break;
    }
}

void ChannelSet::on_dcep(std::uint16_t stream, ByteSpan message) {
    const auto type = dcep_type(message);
    if (!type.ok()) {
        kLog.debug("ignored=dcep stream={} why=\"{}\"", stream, type.error().detail);
        return;
    }
    if (*type == DcepType::kOpen) {
        accept(stream, message);
        return;
    }
    const auto found = streams_.find(stream);
    if (found == streams_.end() || !found->second.channel) return;
    if (found->second.channel->state_ == Channel::State::kOpening) present(*found->second.channel);
}

void ChannelSet::accept(std::uint16_t stream, ByteSpan message) {
    const auto known = streams_.find(stream);
    // A second OPEN for a channel that lives: refusing the stream would harm the first.
    if (known != streams_.end() && known->second.channel) return;
    auto open = parse_dcep_open(message);
    if (!open.ok()) return refuse(stream, open.error().detail);
    // DEVIATION from RFC 8832 6: ids of our own parity are taken, too, where they are free. werift
    // chooses its parity by the ICE role instead of the DTLS role.
    if (association_ == nullptr || stream >= association_->outgoing_streams()) {
        return refuse(stream, "no outgoing stream of that number");
    }
    if (known == streams_.end() && streams_.size() >= kMaxChannels) {
        return refuse(stream, "too many channels");
    }
    auto& channel = streams_[stream].channel;
    channel = std::make_unique<Channel>(*this, stream, std::move(*open), Channel::State::kOpening);
    send_control(stream, build_dcep_ack());
    present(*channel);
}

void ChannelSet::present(Channel& channel) {
    channel.state_ = Channel::State::kOpen;
    channel.observer_ = observer_.on_transport_channel(channel);
    if (channel.observer_ == nullptr) channel.close();
}

void ChannelSet::refuse(std::uint16_t stream, const std::string& why) {
    kLog.debug("refused=channel stream={} why=\"{}\"", stream, why);
    if (association_ != nullptr && stream < association_->outgoing_streams()) {
        association_->reset_stream(stream);
    }
}

void ChannelSet::reset(std::uint16_t stream) {
    if (association_ == nullptr) return;
    std::erase_if(controls_, [&](const Control& control) { return control.stream == stream; });
    streams_[stream].reset_pending = true;
    association_->reset_stream(stream);
}

void ChannelSet::on_reset(std::uint16_t stream) {
    const auto found = streams_.find(stream);
    // RFC 8831 6.7: "if ... its outgoing stream has not been reset, it MUST be". Where nothing is
    // open there is nothing to answer, or two peers would answer each other for ever.
    if (found == streams_.end() || !found->second.channel) return;
    if (found->second.channel->state_ != Channel::State::kClosing) {
        found->second.channel->state_ = Channel::State::kClosing;
        reset(stream);
    }
    drop_channel(stream);
}

void ChannelSet::on_reset_done(std::uint16_t stream) {
    const auto found = streams_.find(stream);
    if (found == streams_.end()) return;
    found->second.reset_pending = false;
    if (!found->second.channel) streams_.erase(found);
}

/// Ends with on_close; the stream is free again once our side is reset, too.
void ChannelSet::drop_channel(std::uint16_t stream) {
    Stream& entry = streams_.at(stream);
    // Stays alive until on_close returned.
    const std::unique_ptr<Channel> channel = std::move(entry.channel);
    if (!entry.reset_pending) streams_.erase(stream);
    if (channel->observer_) channel->observer_->on_close();
}

void ChannelSet::on_writable() {
    flush();
    // A turn for each stream, beginning after the one that was first the last time.
    const std::uint16_t begin = next_writable_;
    next_writable_ = static_cast<std::uint16_t>((begin + 1) % kMaxStreams);
    const auto tell = [this](std::uint16_t from, std::uint16_t to) {
        for (auto at = streams_.lower_bound(from); at != streams_.end() && at->first < to; ++at) {
            Channel* channel = at->second.channel.get();
            if (channel == nullptr || !channel->wants_writable_) continue;
            channel->wants_writable_ = false;
            if (channel->state_ == Channel::State::kOpen) channel->observer_->on_writable();
        }
    };
    tell(begin, kMaxStreams);
    tell(0, begin);
}

void ChannelSet::send_control(std::uint16_t stream, Bytes message) {
    // In order, and not past the data of a channel whose ACK still waits.
    if (controls_.empty() && association_->send(control_options(stream), message, {}).ok()) return;
    controls_.push_back({stream, std::move(message)});
}

void ChannelSet::flush() {
    if (association_ == nullptr || controls_.empty()) return;
    // One stream's reset must not hold up the others: each is tried.
    std::erase_if(controls_, [this](const Control& control) {
        const Status sent =
            association_->send(control_options(control.stream), control.message, {});
        return sent.ok() || sent.error().code != ErrorCode::kLimit;
    });
}

Status ChannelSet::check_data(const Channel& channel, std::size_t size_bytes) const {
    if (channel.state_ != Channel::State::kOpen || association_ == nullptr) {
        return make_error(ErrorCode::kCancelled, "channel: closing or closed");
    }
    if (size_bytes > max_message_bytes_) {
        return make_error(ErrorCode::kInvalid,
                          "channel: the message is larger than the peer takes");
    }
    return {};
}

Status ChannelSet::send_data(Channel& channel, ByteSpan head, ByteSpan body) {
    const std::size_t size = head.size() + body.size();
    if (Status good = check_data(channel, size); !good.ok()) return good;
    static constexpr std::uint8_t kNothing[1] = {0};
    Status status =
        size == 0
            ? association_->send(data_options(channel.stream_, channel.open_, Ppid::kBinaryEmpty),
                                 kNothing, {})
            : association_->send(data_options(channel.stream_, channel.open_, Ppid::kBinary), head,
                                 body);
    if (!status.ok() && status.error().code == ErrorCode::kLimit) channel.wants_writable_ = true;
    return status;
}

Status ChannelSet::give_data(Channel& channel, MessageBlock& message) {
    if (message.size_bytes() == 0) return send_data(channel, {}, {});
    if (Status good = check_data(channel, message.size_bytes()); !good.ok()) return good;
    Status status =
        association_->give(data_options(channel.stream_, channel.open_, Ppid::kBinary), message);
    if (!status.ok() && status.error().code == ErrorCode::kLimit) channel.wants_writable_ = true;
    return status;
}

void ChannelSet::close_all() {
    association_ = nullptr;
    controls_.clear();
    // Observers may ask for new channels meanwhile; those have no observer and end unseen.
    auto streams = std::move(streams_);
    streams_.clear();
    for (auto& [stream, entry] : streams) {
        if (!entry.channel) continue;
        entry.channel->state_ = Channel::State::kClosing;
    }
    for (auto& [stream, entry] : streams) {
        if (entry.channel && entry.channel->observer_) entry.channel->observer_->on_close();
    }
}

}  // namespace kollator::rtc
