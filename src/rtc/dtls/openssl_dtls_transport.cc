#include <openssl/err.h>
#include <openssl/srtp.h>
#include <openssl/ssl.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>
#include <vector>

#include "base/check.h"
#include "crypto/hash.h"
#include "rtc/certificate.h"
#include "rtc/certificate_impl.h"
#include "rtc/dtls/datagram_bio.h"
#include "rtc/dtls/dtls_context.h"
#include "rtc/dtls/dtls_transport.h"
#include "rtc/dtls/last_flight.h"
#include "rtc/dtls/record.h"
#include "rtc/dtls/record_keys.h"
#include "rtc/dtls/record_layer.h"

namespace kollator::rtc {
namespace {

using SslPtr = OpensslPtr<SSL, SSL_free>;

/// RFC 8446 5.4 and OpenSSL: max_send_fragment lies in 512..16384.
constexpr std::size_t kMinFragmentBytes = 512;
/// The first wait before a flight is sent again, doubled up to the last: RFC 6347 4.2.4.1 says 1 s
/// to 60 s for the open Internet; WebRTC stacks begin sooner, since ICE has just proven the path.
constexpr unsigned int kFirstRetransmitUs = 200'000;
constexpr unsigned int kLastRetransmitUs = 3'200'000;
/// No peer needs longer, and nothing waits for ever. Loss of every second flight still ends in
/// time.
constexpr Duration kHandshakeLimit = std::chrono::seconds(30);

/// Data that overtook the end of the handshake waits for it: an INIT and what may follow at once.
constexpr std::size_t kMaxEarlyRecords = 8;
constexpr std::size_t kMaxEarlyRecordBytes = 2048;

// RFC 5246 7.2 and 7.4.
constexpr std::uint8_t kWarning = 1;
constexpr std::uint8_t kFatal = 2;
constexpr std::uint8_t kCloseNotify = 0;
constexpr std::uint8_t kNoRenegotiation = 100;
constexpr std::uint8_t kHelloRequest = 0;
constexpr std::uint8_t kClientHello = 1;
constexpr std::uint8_t kFinished = 20;

unsigned int next_retransmit_us(SSL*, unsigned int previous_us) {
    return previous_us == 0 ? kFirstRetransmitUs : std::min(2 * previous_us, kLastRetransmitUs);
}

/// Leaves no error of an earlier call behind, which SSL_get_error would take for this one's.
/// (Clearing an empty queue costs 16 writes, and took 5 % of the time of a packet.)
void clear_errors() {
    if (ERR_peek_error() != 0) ERR_clear_error();
}

/// OpenSSL makes the handshake; then its keys are taken over by a record layer of our own, and it
/// is freed: its records cost twice as much time, and it holds 50 kB.
///
///     kHandshaking  OpenSSL       --done-->  kConnected  RecordLayer, and for a server what may be
///                                                        asked for again: its last flight
///
/// Time: the protocol is ours to drive, but OpenSSL measures its retransmission timer with
/// gettimeofday() and has no seam for it. After every call we ask how much of it is left and place
/// that on the caller's clock; when the caller's clock gets there first (virtual time, or a wall
/// clock that was set), OpenSSL does nothing and is asked again. The limit of the whole handshake
/// is on the caller's clock alone.
class OpensslDtlsTransport final : public DtlsTransport,
                                   private PeerVerifier,
                                   private DatagramWriter {
 public:
    OpensslDtlsTransport(const Certificate& certificate, DtlsRole role,
                         const std::optional<crypto::Sha256Digest>& remote_fingerprint,
                         std::size_t mtu_bytes, DtlsSink& sink);

    void start(TimePoint now) override;
    void handle_datagram(ByteSpan datagram, TimePoint now) override;
    std::optional<TimePoint> next_timeout() const override;
    void handle_timeout(TimePoint now) override;
    Status send(ByteSpan data) override;
    void close() override;
    State state() const override { return state_; }
    const std::string& failure() const override { return failure_; }
    std::optional<crypto::Sha256Digest> peer_fingerprint() const override {
        return state_ == State::kHandshaking ? std::nullopt : peer_fingerprint_;
    }

 private:
    bool accept_peer(const crypto::Sha256Digest& fingerprint) override;
    void write_datagram(ByteSpan datagram) override;

    bool alive() const { return state_ == State::kHandshaking || state_ == State::kConnected; }

    // The handshake.
    /// Feeds what is the handshake's; gives what is left once that is done.
    ByteSpan handshake_with(ByteSpan datagram);
    void handshake();
    bool take_over();
    /// After an SSL call that did not succeed: nothing when it only waits for more.
    void handle_failure(int result);
    void arm(TimePoint now);

    // Afterwards.
    void read_records(ByteSpan datagram);
    void read_record(const Record& record);
    void on_alert(ByteSpan alert);
    void on_late_handshake(ByteSpan message);
    bool send_record(RecordType type, ByteSpan plain);

    void fail(std::string reason);

    DtlsSink& sink_;
    const std::optional<crypto::Sha256Digest> remote_fingerprint_;  // empty: any
    const DtlsRole role_;

    DatagramPort port_;
    SslPtr ssl_;  // after port_: its BIO points there
    State state_ = State::kHandshaking;
    bool started_ = false;
    bool fingerprint_mismatch_ = false;
    std::optional<crypto::Sha256Digest> peer_fingerprint_;
    std::string failure_;
    TimePoint handshake_deadline_{};
    std::optional<TimePoint> retransmit_at_;
    std::vector<Bytes> early_;  ///< application data, whole records
    LastFlight flight_;
    std::unique_ptr<RecordLayer> records_;  // once connected; then ssl_ is null
};

OpensslDtlsTransport::OpensslDtlsTransport(
    const Certificate& certificate, DtlsRole role,
    const std::optional<crypto::Sha256Digest>& remote_fingerprint, std::size_t mtu_bytes,
    DtlsSink& sink)
    : sink_(sink), remote_fingerprint_(remote_fingerprint), role_(role) {
    port_.writer = this;
    port_.mtu_bytes = mtu_bytes;
    clear_errors();
    SSL_CTX* context = dtls_context(certificate.impl());
    if (context != nullptr) ssl_.reset(SSL_new(context));
    BioPtr bio = make_datagram_bio(port_);
    if (!ssl_ || !bio) {
        fail("out of memory");
        return;
    }
    BIO* both = bio.release();
    SSL_set_bio(ssl_.get(), both, both);  // owns it
    SSL_set_mtu(ssl_.get(), static_cast<long>(mtu_bytes));
    // Sizes OpenSSL's write buffer: 1.2 kB instead of 16.
    SSL_set_max_send_fragment(
        ssl_.get(), static_cast<long>(std::clamp(mtu_bytes, kMinFragmentBytes, kMaxRecordBytes)));
    DTLS_set_timer_cb(ssl_.get(), next_retransmit_us);
    set_verifier(ssl_.get(), *this);
    if (role == DtlsRole::kClient) {
        SSL_set_connect_state(ssl_.get());
    } else {
        SSL_set_accept_state(ssl_.get());
        // A client that could do media as well offers SRTP, and werift 0.25 fails where the server
        // chooses no profile. No SRTP follows. (This call gives 0 for success.)
        SSL_set_tlsext_use_srtp(ssl_.get(), "SRTP_AES128_CM_SHA1_80");
    }
}

bool OpensslDtlsTransport::accept_peer(const crypto::Sha256Digest& fingerprint) {
    const bool good =
        !remote_fingerprint_ || crypto::constant_time_equal(fingerprint, *remote_fingerprint_);
    if (good) peer_fingerprint_ = fingerprint;
    fingerprint_mismatch_ = !good;
    return good;
}

void OpensslDtlsTransport::start(TimePoint now) {
    if (started_ || !alive()) return;
    started_ = true;
    handshake_deadline_ = now + kHandshakeLimit;
    if (role_ == DtlsRole::kClient) handshake();
    arm(now);
}

void OpensslDtlsTransport::write_datagram(ByteSpan datagram) {
    flight_.add(datagram);
    sink_.on_dtls_datagram(datagram);
}

void OpensslDtlsTransport::handle_datagram(ByteSpan datagram, TimePoint now) {
    if (!started_ || !alive() || datagram.empty()) return;
    if (state_ == State::kHandshaking) {
        datagram = handshake_with(datagram);
        if (state_ == State::kConnected) {
            for (const Bytes& early : std::exchange(early_, {})) read_records(early);
        }
        arm(now);
    }
    read_records(datagram);
}

ByteSpan OpensslDtlsTransport::handshake_with(ByteSpan datagram) {
    ByteSpan rest = datagram;
    while (!rest.empty() && state_ == State::kHandshaking) {
        // Up to the next record of application data: OpenSSL would keep that for itself.
        ByteSpan after = rest;
        std::size_t handshake_bytes = 0;
        std::optional<Record> record;
        while ((record = take_record(after)) && record->type != RecordType::kApplicationData) {
            handshake_bytes = rest.size() - after.size();
        }
        // What is no record at the end goes along: OpenSSL ignores it.
        if (!record) handshake_bytes = rest.size();
        if (handshake_bytes > 0) {
            port_.incoming = rest.first(handshake_bytes);
            handshake();
            port_.incoming = {};
            rest = rest.subspan(handshake_bytes);
            continue;
        }
        const std::size_t size = rest.size() - after.size();
        if (early_.size() < kMaxEarlyRecords && size <= kMaxEarlyRecordBytes) {
            early_.emplace_back(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(size));
        }
        rest = after;
    }
    return rest;
}

void OpensslDtlsTransport::handshake() {
    clear_errors();
    flight_.begin();
    const int result = SSL_do_handshake(ssl_.get());
    if (result != 1) {
        handle_failure(result);
    } else if (take_over()) {
        state_ = State::kConnected;
        retransmit_at_.reset();
        ssl_.reset();
    } else {
        fail("the keys could not be taken over");
    }
}

bool OpensslDtlsTransport::take_over() {
    const Result<RecordKeys> keys = derive_record_keys(ssl_.get());
    if (!keys.ok()) return false;
    const bool client = role_ == DtlsRole::kClient;
    const DirectionKeys& ours = client ? keys->client : keys->server;
    records_ =
        RecordLayer::make(ours, client ? keys->server : keys->client, flight_.next_sequence());
    // RFC 6347 4.2.4: whoever sent the last flight sends it again when the peer's comes again; in a
    // full handshake, and we make no other, that is the server.
    return records_ && (client || flight_.keep(ours));
}

/// REQUIRES: connected, or what comes is ignored.
void OpensslDtlsTransport::read_records(ByteSpan datagram) {
    while (state_ == State::kConnected) {
        const std::optional<Record> record = take_record(datagram);
        if (!record) return;
        read_record(*record);
    }
}

void OpensslDtlsTransport::read_record(const Record& record) {
    // Not initialised, on purpose. RFC 6347 4.1.2.7: invalid records SHOULD be silently discarded.
    std::array<std::uint8_t, kMaxRecordBytes + RecordLayer::kOverheadBytes> memory;
    const std::optional<std::size_t> size = records_->open(record, memory);
    if (!size) return;
    const ByteSpan plain = ByteSpan(memory).first(*size);
    switch (record.type) {
        case RecordType::kApplicationData:
            if (!plain.empty()) sink_.on_dtls_data(plain);
            break;
        case RecordType::kAlert:
            on_alert(plain);
            break;
        case RecordType::kHandshake:
            on_late_handshake(plain);
            break;
        case RecordType::kChangeCipherSpec:
            break;
    }
}

void OpensslDtlsTransport::on_alert(ByteSpan alert) {
    if (alert.size() != 2) return;
    if (alert[1] == kCloseNotify) {
        close();  // answers close_notify with ours
    } else if (alert[0] == kFatal) {
        fail("the peer's alert " + std::to_string(alert[1]));
    }
}

void OpensslDtlsTransport::on_late_handshake(ByteSpan message) {
    if (message.empty()) return;
    if (message[0] == kFinished) {
        const Bytes again = flight_.again(*records_);
        if (!again.empty()) sink_.on_dtls_datagram(again);
    } else if (message[0] == kHelloRequest || message[0] == kClientHello) {
        // RFC 5246 7.2.2: whoever does not renegotiate says so.
        send_record(RecordType::kAlert, std::array{kWarning, kNoRenegotiation});
    }
}

bool OpensslDtlsTransport::send_record(RecordType type, ByteSpan plain) {
    std::array<std::uint8_t, kMaxRecordBytes + RecordLayer::kOverheadBytes> memory;
    const std::size_t size = records_->seal(type, plain, memory);
    if (size > 0) sink_.on_dtls_datagram(ByteSpan(memory).first(size));
    return size > 0;
}

void OpensslDtlsTransport::handle_failure(int result) {
    switch (SSL_get_error(ssl_.get(), result)) {
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE:
            return;
        default:
            break;
    }
    if (fingerprint_mismatch_) {
        fail("certificate does not match the fingerprint");
        return;
    }
    const unsigned long code = ERR_peek_error();
    const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
    fail(reason == nullptr ? "protocol error" : reason);
}

void OpensslDtlsTransport::fail(std::string reason) {
    clear_errors();
    state_ = State::kFailed;
    failure_ = std::move(reason);
    retransmit_at_.reset();
}

void OpensslDtlsTransport::arm(TimePoint now) {
    retransmit_at_.reset();
    timeval left{};
    if (state_ != State::kHandshaking || DTLSv1_get_timeout(ssl_.get(), &left) != 1) return;
    // Rounded up, so that OpenSSL's clock has reached it, too.
    retransmit_at_ = now + std::chrono::seconds(left.tv_sec) +
                     std::chrono::microseconds(left.tv_usec) + std::chrono::milliseconds(1);
}

std::optional<TimePoint> OpensslDtlsTransport::next_timeout() const {
    if (!started_ || state_ != State::kHandshaking) return std::nullopt;
    return retransmit_at_ ? std::min(*retransmit_at_, handshake_deadline_) : handshake_deadline_;
}

void OpensslDtlsTransport::handle_timeout(TimePoint now) {
    if (!started_ || state_ != State::kHandshaking) return;
    if (now >= handshake_deadline_) {
        fail("handshake timed out");
        return;
    }
    if (!retransmit_at_ || now < *retransmit_at_) return;
    clear_errors();
    if (DTLSv1_handle_timeout(ssl_.get()) < 0) {
        fail("handshake timed out");
        return;
    }
    arm(now);
}

Status OpensslDtlsTransport::send(ByteSpan data) {
    KOLLATOR_CHECK(state_ == State::kConnected);
    if (data.empty()) return {};
    if (data.size() > kMaxRecordBytes || !send_record(RecordType::kApplicationData, data)) {
        return make_error(ErrorCode::kInvalid, "dtls: no such record");
    }
    return {};
}

void OpensslDtlsTransport::close() {
    if (!alive()) return;
    // During a handshake there is no key to say it with; the peer learns it from silence.
    if (state_ == State::kConnected) {
        send_record(RecordType::kAlert, std::array{kWarning, kCloseNotify});
    }
    state_ = State::kClosed;
    retransmit_at_.reset();
}

}  // namespace

std::unique_ptr<DtlsTransport> make_dtls_transport(
    const Certificate& certificate, DtlsRole role,
    const std::optional<std::array<std::uint8_t, 32>>& remote_fingerprint, std::size_t mtu_bytes,
    DtlsSink& sink) {
    return std::make_unique<OpensslDtlsTransport>(certificate, role, remote_fingerprint, mtu_bytes,
                                                  sink);
}

}  // namespace kollator::rtc
