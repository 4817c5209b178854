#include "rtc/data_transport.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "rtc/certificate.h"
#include "rtc/channel/channel_set.h"
#include "rtc/sctp/sctp_association.h"

namespace kollator::rtc {
namespace {

/// AES-GCM in DTLS 1.2: record header 13, explicit nonce 8 (RFC 5288), tag 16.
constexpr std::size_t kDtlsOverheadBytes = 13 + 8 + 16;
/// What we take and send at most; peers announce the same.
constexpr std::size_t kMaxMessageBytes = 262144;

/// The chain, from the bottom: datagrams - DTLS records - SCTP packets - messages - channels.
class DataTransportImpl final : public DataTransport, private DtlsSink, private SctpObserver {
 public:
    DataTransportImpl(const Certificate& certificate, SctpStack& stack,
                      const DataTransportOptions& options, DataTransportSink& sink,
                      DataTransportObserver& observer);
    ~DataTransportImpl() override = default;

    void start(TimePoint now) override;
    void handle_datagram(ByteSpan datagram, TimePoint now) override;
    std::optional<TimePoint> next_timeout() const override;
    void handle_timeout(TimePoint now) override;
    void on_new_path(TimePoint now) override;
    void poll(TimePoint now) override;
    Result<std::uint16_t> open_channel(const ChannelOptions& options) override;
    void set_reading(bool on) override;
    void close(const std::string& reason) override;
    State state() const override { return state_; }
    std::optional<std::array<std::uint8_t, 32>> peer_fingerprint() const override {
        return dtls_->peer_fingerprint();
    }
    std::size_t channel_count() const override { return channels_.size(); }
    bool zero_checksum() const override { return association_ && association_->zero_checksum(); }
    bool wants_poll() const override;

 private:
    // DtlsSink
    void on_dtls_datagram(ByteSpan datagram) override { sink_.on_transport_datagram(datagram); }
    void on_dtls_data(ByteSpan data) override;
    // SctpObserver
    void on_sctp_packet(ByteSpan packet) override;
    void on_sctp_connected() override;
    void on_sctp_message(std::uint16_t stream, std::uint32_t ppid, ByteSpan message) override;
    void on_sctp_stream_reset(std::uint16_t stream) override { channels_.on_reset(stream); }
    void on_sctp_stream_reset_done(std::uint16_t stream) override {
        channels_.on_reset_done(stream);
    }
    void on_sctp_writable() override { channels_.on_writable(); }
    void on_sctp_pending() override { sink_.on_transport_pending(); }
    void on_sctp_closed(const std::string& reason) override;

    /// After DTLS has worked: begins SCTP, or ends with DTLS.
    void follow_dtls();
    void start_sctp();
    /// The end has come from below; what was received before is still delivered.
    void end(const std::string& reason);

    SctpStack& stack_;
    const DataTransportOptions options_;
    DataTransportSink& sink_;
    DataTransportObserver& observer_;

    State state_ = State::kNew;
    TimePoint now_{};  ///< as the last call said
    TimePoint connect_deadline_{};
    bool polling_ = false;
    bool closed_told_ = false;
    std::string close_reason_;

    ChannelSet channels_;
    std::unique_ptr<DtlsTransport> dtls_;
    std::unique_ptr<SctpAssociation> association_;  // made once DTLS is up
};

DataTransportImpl::DataTransportImpl(const Certificate& certificate, SctpStack& stack,
                                     const DataTransportOptions& options, DataTransportSink& sink,
                                     DataTransportObserver& observer)
    : stack_(stack),
      options_(options),
      sink_(sink),
      observer_(observer),
      channels_(options.role,
                options.remote_max_message_bytes == 0
                    ? kMaxMessageBytes
                    : std::min(options.remote_max_message_bytes, kMaxMessageBytes),
                observer),
      dtls_(make_dtls_transport(certificate, options.role, options.remote_fingerprint,
                                options.mtu_bytes, *this)) {}

void DataTransportImpl::start(TimePoint now) {
    if (state_ != State::kNew) return;
    now_ = now;
    state_ = State::kConnecting;
    connect_deadline_ = now + options_.connect_timeout;
    dtls_->start(now);
    follow_dtls();
}

void DataTransportImpl::handle_datagram(ByteSpan datagram, TimePoint now) {
    if (state_ != State::kConnecting && state_ != State::kConnected) return;
    now_ = now;
    dtls_->handle_datagram(datagram, now);
    follow_dtls();
}

std::optional<TimePoint> DataTransportImpl::next_timeout() const {
    if (state_ != State::kConnecting && state_ != State::kConnected) return std::nullopt;
    std::optional<TimePoint> next = dtls_->next_timeout();
    if (state_ == State::kConnecting)
        next = std::min(next.value_or(connect_deadline_), connect_deadline_);
    return next;
}

void DataTransportImpl::handle_timeout(TimePoint now) {
    if (state_ != State::kConnecting && state_ != State::kConnected) return;
    now_ = now;
    dtls_->handle_timeout(now);
    follow_dtls();
    if (state_ == State::kConnecting && now >= connect_deadline_) close("connect timed out");
}

void DataTransportImpl::on_new_path(TimePoint now) {
    if (association_ && state_ != State::kClosed) association_->on_new_path(now);
}

void DataTransportImpl::follow_dtls() {
    if (state_ == State::kClosed) return;
    switch (dtls_->state()) {
        case DtlsTransport::State::kHandshaking:
            break;
        case DtlsTransport::State::kConnected:
            start_sctp();
            break;
        case DtlsTransport::State::kClosed:
            end("peer closed");
            break;
        case DtlsTransport::State::kFailed:
            end("dtls failed: " + dtls_->failure());
            break;
    }
}

void DataTransportImpl::start_sctp() {
    if (association_) return;
    SctpOptions options;
    options.remote_port = options_.remote_sctp_port;
    options.mtu_bytes = options_.mtu_bytes - kDtlsOverheadBytes;
    options.max_message_bytes = kMaxMessageBytes;
    options.send_buffer_bytes = options_.send_buffer_bytes;
    options.receive_buffer_bytes = options_.receive_buffer_bytes;
    options.max_send_buffer_bytes = options_.max_send_buffer_bytes;
    options.max_receive_buffer_bytes = options_.max_receive_buffer_bytes;
    association_ = stack_.make(options, *this);
    association_->connect(now_);
}

void DataTransportImpl::on_dtls_data(ByteSpan data) {
    // The peer's INIT may stand in the datagram that completed the handshake.
    start_sctp();
    association_->handle_packet(data, now_);
}

void DataTransportImpl::on_sctp_packet(ByteSpan packet) {
    if (dtls_->state() != DtlsTransport::State::kConnected) return;
    // A record that DTLS refuses is a lost packet to SCTP.
    static_cast<void>(dtls_->send(packet).ok());
}

void DataTransportImpl::on_sctp_connected() {
    if (state_ != State::kConnecting) return;
    state_ = State::kConnected;
    channels_.on_connected(*association_);
    observer_.on_transport_connected();
}

void DataTransportImpl::on_sctp_message(std::uint16_t stream, std::uint32_t ppid,
                                        ByteSpan message) {
    channels_.on_message(stream, ppid, message);
}

void DataTransportImpl::on_sctp_closed(const std::string& reason) {
    end(reason);
    dtls_->close();
}

void DataTransportImpl::poll(TimePoint now) {
    KOLLATOR_CHECK(!polling_);
    if (closed_told_) return;
    polling_ = true;
    now_ = now;
    if (association_) association_->poll(now);
    channels_.flush();
    if (state_ == State::kClosed) {
        closed_told_ = true;
        if (association_) association_->abort();
        channels_.close_all();
        observer_.on_transport_closed(close_reason_);
    }
    polling_ = false;
}

bool DataTransportImpl::wants_poll() const {
    if (state_ == State::kClosed) return !closed_told_;
    return association_ && association_->wants_poll();
}

Result<std::uint16_t> DataTransportImpl::open_channel(const ChannelOptions& options) {
    if (state_ == State::kClosed) return make_error(ErrorCode::kCancelled, "channel: closed");
    return channels_.open(options);
}

void DataTransportImpl::set_reading(bool on) {
    if (association_) association_->set_reading(on);
}

void DataTransportImpl::end(const std::string& reason) {
    if (state_ == State::kClosed) return;
    state_ = State::kClosed;
    close_reason_ = reason;
}

void DataTransportImpl::close(const std::string& reason) {
    if (state_ == State::kClosed) return;
    end(reason);
    if (association_) association_->abort();
    dtls_->close();
}

}  // namespace

std::unique_ptr<DataTransport> make_data_transport(const Certificate& certificate, SctpStack& stack,
                                                   const DataTransportOptions& options,
                                                   DataTransportSink& sink,
                                                   DataTransportObserver& observer) {
    return std::make_unique<DataTransportImpl>(certificate, stack, options, sink, observer);
}

}  // namespace kollator::rtc
