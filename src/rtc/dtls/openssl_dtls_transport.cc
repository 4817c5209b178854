#include <openssl/err.h>
#include <openssl/srtp.h>
#include <openssl/ssl.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "base/check.h"
#include "crypto/hash.h"
#include "rtc/certificate.h"
#include "rtc/certificate_impl.h"
#include "rtc/dtls/datagram_bio.h"
#include "rtc/dtls/dtls_context.h"
#include "rtc/dtls/dtls_transport.h"

namespace kollator::rtc {
namespace {

using SslPtr = OpensslPtr<SSL, SSL_free>;

/// RFC 6347 4.1: a record holds at most 2^14 bytes.
constexpr std::size_t kMaxRecordBytes = 16384;
/// RFC 8446 5.4 and OpenSSL: max_send_fragment lies in 512..16384.
constexpr std::size_t kMinFragmentBytes = 512;
/// The first wait before a flight is sent again, doubled up to the last: RFC 6347 4.2.4.1 says 1 s
/// to 60 s for the open Internet; WebRTC stacks begin sooner, since ICE has just proven the path.
constexpr unsigned int kFirstRetransmitUs = 200'000;
constexpr unsigned int kLastRetransmitUs = 3'200'000;
/// No peer needs longer, and nothing waits for ever. Loss of every second flight still ends in
/// time.
constexpr Duration kHandshakeLimit = std::chrono::seconds(30);

unsigned int next_retransmit_us(SSL*, unsigned int previous_us) {
    return previous_us == 0 ? kFirstRetransmitUs : std::min(2 * previous_us, kLastRetransmitUs);
}

/// Leaves no error of an earlier call behind, which SSL_get_error would take for this one's.
/// (Clearing an empty queue costs 16 writes, and took 5 % of the time of a packet.)
void clear_errors() {
    if (ERR_peek_error() != 0) ERR_clear_error();
}

/// Time: the protocol is ours to drive, but OpenSSL measures its retransmission timer with
/// gettimeofday() and has no seam for it. After every call we ask how much of it is left and place
/// that on the caller's clock; when the caller's clock gets there first (virtual time, or a wall
/// clock that was set), OpenSSL does nothing and is asked again. The limit of the whole handshake
/// is on the caller's clock alone.
class OpensslDtlsTransport final : public DtlsTransport, private PeerVerifier {
 public:
    OpensslDtlsTransport(const Certificate& certificate, DtlsRole role,
                         const crypto::Sha256Digest& remote_fingerprint, std::size_t mtu_bytes,
                         DtlsSink& sink);

    void start(TimePoint now) override;
    void handle_datagram(ByteSpan datagram, TimePoint now) override;
    std::optional<TimePoint> next_timeout() const override;
    void handle_timeout(TimePoint now) override;
    Status send(ByteSpan data) override;
    void close() override;
    State state() const override { return state_; }
    const std::string& failure() const override { return failure_; }

 private:
    bool accept_peer(const crypto::Sha256Digest& fingerprint) override;

    bool alive() const { return state_ == State::kHandshaking || state_ == State::kConnected; }
    void handshake();
    void read_records();
    /// After an SSL call that did not succeed: nothing when it only waits for more.
    void handle_failure(int result);
    void fail(std::string reason);
    void arm(TimePoint now);

    DtlsSink& sink_;
    const crypto::Sha256Digest remote_fingerprint_;
    const DtlsRole role_;

    DatagramPort port_;
    SslPtr ssl_;  // after port_: its BIO points there
    State state_ = State::kHandshaking;
    bool started_ = false;
    bool fingerprint_mismatch_ = false;
    std::string failure_;
    TimePoint handshake_deadline_{};
    std::optional<TimePoint> retransmit_at_;
};

OpensslDtlsTransport::OpensslDtlsTransport(const Certificate& certificate, DtlsRole role,
                                           const crypto::Sha256Digest& remote_fingerprint,
                                           std::size_t mtu_bytes, DtlsSink& sink)
    : sink_(sink), remote_fingerprint_(remote_fingerprint), role_(role) {
    port_.sink = &sink_;
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
    const bool same = crypto::constant_time_equal(fingerprint, remote_fingerprint_);
    if (!same) fingerprint_mismatch_ = true;
    return same;
}

void OpensslDtlsTransport::start(TimePoint now) {
    if (started_ || !alive()) return;
    started_ = true;
    handshake_deadline_ = now + kHandshakeLimit;
    if (role_ == DtlsRole::kClient) handshake();
    arm(now);
}

void OpensslDtlsTransport::handle_datagram(ByteSpan datagram, TimePoint now) {
    if (!started_ || !alive() || datagram.empty()) return;
    port_.incoming = datagram;
    if (state_ == State::kHandshaking) handshake();
    if (state_ == State::kConnected) read_records();
    port_.incoming = {};
    if (state_ == State::kHandshaking || retransmit_at_) arm(now);
}

void OpensslDtlsTransport::handshake() {
    clear_errors();
    const int result = SSL_do_handshake(ssl_.get());
    if (result != 1) {
        handle_failure(result);
        return;
    }
    state_ = State::kConnected;
}

void OpensslDtlsTransport::read_records() {
    std::array<std::uint8_t, kMaxRecordBytes> record;  // not initialised, on purpose
    // One record a datagram is the rule: asking once more, in vain, costs as much as reading one.
    do {
        clear_errors();
        const int result = SSL_read(ssl_.get(), record.data(), static_cast<int>(record.size()));
        if (result <= 0) {
            handle_failure(result);
            return;
        }
        sink_.on_dtls_data({record.data(), static_cast<std::size_t>(result)});
    } while (state_ == State::kConnected &&
             (!port_.incoming.empty() || SSL_has_pending(ssl_.get()) == 1));
}

void OpensslDtlsTransport::handle_failure(int result) {
    switch (SSL_get_error(ssl_.get(), result)) {
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE:
            return;
        case SSL_ERROR_ZERO_RETURN:
            close();  // answers close_notify with ours
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
    if (!alive() || DTLSv1_get_timeout(ssl_.get(), &left) != 1) return;
    // Rounded up, so that OpenSSL's clock has reached it, too.
    retransmit_at_ = now + std::chrono::seconds(left.tv_sec) +
                     std::chrono::microseconds(left.tv_usec) + std::chrono::milliseconds(1);
}

std::optional<TimePoint> OpensslDtlsTransport::next_timeout() const {
    if (!started_ || !alive()) return std::nullopt;
    if (state_ == State::kConnected) return retransmit_at_;
    return retransmit_at_ ? std::min(*retransmit_at_, handshake_deadline_) : handshake_deadline_;
}

void OpensslDtlsTransport::handle_timeout(TimePoint now) {
    if (!started_ || !alive()) return;
    if (state_ == State::kHandshaking && now >= handshake_deadline_) {
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
    clear_errors();
    const int result = SSL_write(ssl_.get(), data.data(), static_cast<int>(data.size()));
    if (result > 0) return {};
    const char* reason = ERR_reason_error_string(ERR_peek_error());
    clear_errors();
    // The datagram BIO never refuses, so nothing is left half-written.
    return make_error(ErrorCode::kInvalid,
                      std::string("dtls: ") + (reason == nullptr ? "record refused" : reason));
}

void OpensslDtlsTransport::close() {
    if (!alive()) return;
    clear_errors();
    // OpenSSL refuses SSL_shutdown during a handshake; then the peer learns it from silence.
    if (state_ == State::kConnected) SSL_shutdown(ssl_.get());
    clear_errors();
    state_ = State::kClosed;
    retransmit_at_.reset();
}

}  // namespace

std::unique_ptr<DtlsTransport> make_dtls_transport(
    const Certificate& certificate, DtlsRole role,
    const std::array<std::uint8_t, 32>& remote_fingerprint, std::size_t mtu_bytes, DtlsSink& sink) {
    return std::make_unique<OpensslDtlsTransport>(certificate, role, remote_fingerprint, mtu_bytes,
                                                  sink);
}

}  // namespace kollator::rtc
