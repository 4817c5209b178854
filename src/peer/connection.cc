#include "peer/connection.h"

#include <algorithm>
#include <utility>

#include "peer/connection_impl.h"

namespace kollator::peer {
namespace {

constexpr const char* kChannelClosed = "the worker closed the channel";
constexpr const char* kSilent = "the worker gives no sign of life";

class ChannelWire final : public Wire {
 public:
    ChannelWire(rtc::DataChannel& channel, const Connection::Impl& impl)
        : channel_(&channel), max_message_bytes_(channel.max_message_bytes()), impl_(impl) {}

    /// The channel is going.
    void lose() { channel_ = nullptr; }

    Status send(ByteSpan head, ByteSpan body) override {
        if (channel_ == nullptr) return make_error(ErrorCode::kCancelled, "the channel is closed");
        return channel_->send(head, body);
    }
    std::size_t max_message_bytes() const override { return max_message_bytes_; }
    std::size_t buffered_bytes() const override {
        return channel_ != nullptr ? channel_->buffered_bytes() : 0;
    }
    std::uint64_t signs_of_life() const override {
        return impl_.endpoint.received_bytes(impl_.peer);
    }

 private:
    rtc::DataChannel* channel_;
    const std::size_t max_message_bytes_;
    const Connection::Impl& impl_;  // which owns this
};

class ChannelObserver final : public rtc::DataChannelObserver {
 public:
    ChannelObserver(std::shared_ptr<Connection::Impl> impl, ChannelWire& wire)
        : impl_(std::move(impl)), wire_(wire) {}

    // A copy of the owner in each: a callback may drop the connection, and this observer with it.
    void on_message(ByteSpan message, bool binary) override {
        const auto impl = impl_;
        impl->requests->on_message(message, binary);
    }
    void on_writable() override {
        const auto impl = impl_;
        impl->requests->on_writable();
    }
    void on_close() override {
        const auto impl = impl_;
        wire_.lose();
        const std::string reason = impl->given_up.empty() ? kChannelClosed : impl->given_up;
        if (!impl->dropped) impl->requests->on_closed(reason);
        if (impl->dropped) return;
        // A connection without its channel is of no use.
        impl->endpoint.close(impl->peer, "the channel is closed");
        if (const auto tell = std::exchange(impl->on_lost, nullptr)) tell(reason);
    }

 private:
    const std::shared_ptr<Connection::Impl> impl_;
    ChannelWire& wire_;  // of impl_
};

class ConnectionObserver final : public rtc::PeerObserver {
 public:
    explicit ConnectionObserver(std::shared_ptr<Connection::Impl> impl) : impl_(std::move(impl)) {}

    void on_local_candidate(const std::string& candidate) override {
        const auto impl = impl_;
        if (impl->on_candidate) impl->on_candidate(candidate);
    }
    std::unique_ptr<rtc::DataChannelObserver> on_channel(rtc::DataChannel& channel) override {
        const auto impl = impl_;
        if (impl->dropped || impl->requests || channel.label() != kChannelLabel) return nullptr;
        auto wire = std::make_unique<ChannelWire>(channel, *impl);
        auto observer = std::make_unique<ChannelObserver>(impl, *wire);
        impl->wire = std::move(wire);
        impl->requests = std::make_unique<Requests>(impl->loop, *impl->wire, impl->limits);
        impl->requests->set_on_silent([&owner = *impl] {
            owner.given_up = kSilent;
            owner.endpoint.close(owner.peer, owner.given_up);
        });
        if (impl->on_open) impl->on_open();
        return observer;
    }
    void on_closed(const std::string& reason) override {
        const auto impl = impl_;
        impl->gone = true;
        if (impl->requests && !impl->dropped) impl->requests->on_closed(reason);
        if (impl->dropped) return;
        if (const auto tell = std::exchange(impl->on_lost, nullptr)) tell(reason);
    }

 private:
    const std::shared_ptr<Connection::Impl> impl_;
};

}  // namespace

std::unique_ptr<rtc::PeerObserver> Connection::Impl::observer() {
    return std::make_unique<ConnectionObserver>(shared_from_this());
}

void Connection::Impl::drop() {
    if (std::exchange(dropped, true)) return;
    on_open = nullptr;
    on_candidate = nullptr;
    on_lost = nullptr;
    if (requests) requests->forget_all();
    if (!gone && peer != 0) endpoint.close(peer, "done");
}

Connection::Connection(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Connection::~Connection() {
    impl_->drop();
}

Requests& Connection::requests() {
    return *impl_->requests;
}

bool Connection::open() const {
    return !impl_->gone && impl_->requests->open();
}

void Connection::close(const std::string& reason) {
    if (!impl_->gone) impl_->endpoint.close(impl_->peer, reason);
}

void Connection::set_on_lost(std::function<void(const std::string& reason)> on_lost) {
    impl_->on_lost = std::move(on_lost);
}

const protocol::Hello& Connection::hello() const {
    return impl_->hello;
}

std::uint32_t Connection::max_chunk_bytes() const {
    const auto told = impl_->hello.max_chunk_bytes.value_or(protocol::kDefaultMaxChunkBytes);
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(told, UINT32_MAX));
}

rtc::PeerId Connection::peer() const {
    return impl_->peer;
}

std::optional<rtc::PeerInfo> Connection::info() const {
    for (rtc::PeerInfo& info : impl_->endpoint.peers()) {
        if (info.id == impl_->peer) return std::move(info);
    }
    return std::nullopt;
}

}  // namespace kollator::peer
