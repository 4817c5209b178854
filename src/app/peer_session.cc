#include "app/peer_session.h"

#include <utility>

#include "base/log.h"

namespace kollator::app {
namespace {

const log::Logger kLog("worker");

// protocol.md, section 2: "Label kollator, subprotocol kollator.v1".
constexpr std::string_view kLabel = "kollator";
constexpr std::string_view kProtocol = "kollator.v1";

class ChannelTransport final : public session::SessionTransport {
 public:
    explicit ChannelTransport(rtc::DataChannel& channel) : channel_(channel) {}

    Status send(ByteSpan head, ByteSpan body) override { return channel_.send(head, body); }
    Status give(ByteSpan head, const BufferSlice& body) override {
        rtc::MessageBlock message(head, body);
        return channel_.give(message);
    }
    std::size_t writable_bytes() const override { return channel_.writable_bytes(); }
    std::size_t max_message_bytes() const override { return channel_.max_message_bytes(); }
    bool ordered() const override { return channel_.ordered(); }
    void close() override { channel_.close(); }

 private:
    rtc::DataChannel& channel_;
};

class ChannelObserver final : public rtc::DataChannelObserver {
 public:
    ChannelObserver(std::shared_ptr<session::Session> session, session::ChannelHandle handle)
        : session_(std::move(session)), handle_(handle) {}

    void on_message(ByteSpan message, bool binary) override {
        session_->on_message(handle_, message, binary);
    }
    void on_writable() override { session_->on_writable(handle_); }
    void on_close() override { session_->on_close(handle_); }

 private:
    const std::shared_ptr<session::Session> session_;
    const session::ChannelHandle handle_;
};

}  // namespace

PeerSession::PeerSession(session::SessionContext& context, std::string label, Connection connection,
                         std::function<void()> closed)
    : peer_(std::make_shared<rtc::PeerId>(0)), closed_(std::move(closed)) {
    session::SessionOptions options;
    options.label = std::move(label);
    options.close_connection = [peer = peer_, close = std::move(connection.close)](
                                   const std::string& reason) { close(*peer, reason); };
    options.fingerprints = [peer = peer_, ask = std::move(connection.fingerprints)] {
        return ask(*peer);
    };
    session_ = session::make_session(context, std::move(options));
}

void PeerSession::set_peer(rtc::PeerId peer) {
    *peer_ = peer;
}

std::unique_ptr<rtc::DataChannelObserver> PeerSession::on_channel(rtc::DataChannel& channel) {
    if (channel.label() != kLabel || channel.protocol() != kProtocol) {
        kLog.debug("peer={} refused=channel reason=\"another label or protocol\"", *peer_);
        return nullptr;
    }
    const auto handle = session_->add_channel(std::make_unique<ChannelTransport>(channel));
    if (!handle) {
        kLog.debug("peer={} refused=channel reason=\"{}\"", *peer_, handle.error().detail);
        return nullptr;
    }
    return std::make_unique<ChannelObserver>(session_, *handle);
}

void PeerSession::on_closed(const std::string& reason) {
    kLog.debug("peer={} closed reason=\"{}\"", *peer_, reason);
    closed_();
}

}  // namespace kollator::app
