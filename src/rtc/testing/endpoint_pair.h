#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "crypto/system_random.h"
#include "loop/event_loop.h"
#include "loop/system_clock.h"
#include "rtc/certificate.h"
#include "rtc/endpoint.h"

/// Two endpoints on one loop, over real sockets on loopback.
namespace kollator::rtc {

/// What one side was told; outlives its observers.
struct Heard {
    int connected = 0;
    int closed = 0;
    std::string reason;
    std::vector<std::string> opened;    ///< labels
    std::vector<std::string> messages;  ///< of all channels
    DataChannel* channel = nullptr;     ///< the latest
};

class HearingChannel final : public DataChannelObserver {
 public:
    HearingChannel(Heard& heard, DataChannel& channel, bool echoes)
        : heard_(heard), channel_(channel), echoes_(echoes) {}
    void on_message(ByteSpan message, bool) override {
        heard_.messages.emplace_back(as_text(message));
        if (!echoes_) return;
        EXPECT_TRUE(channel_.send({}, message).ok());
    }
    void on_writable() override {}
    void on_close() override {
        if (heard_.channel == &channel_) heard_.channel = nullptr;
    }

 private:
    Heard& heard_;
    DataChannel& channel_;
    const bool echoes_;
};

class HearingPeer final : public PeerObserver {
 public:
    HearingPeer(Heard& heard, bool echoes) : heard_(heard), echoes_(echoes) {}
    void on_connected() override { ++heard_.connected; }
    std::unique_ptr<DataChannelObserver> on_channel(DataChannel& channel) override {
        heard_.opened.emplace_back(channel.label());
        heard_.channel = &channel;
        return std::make_unique<HearingChannel>(heard_, channel, echoes_);
    }
    void on_closed(const std::string& reason) override {
        ++heard_.closed;
        heard_.reason = reason;
    }

 private:
    Heard& heard_;
    const bool echoes_;
};

class EndpointPairTest : public ::testing::Test {
 protected:
    EndpointPairTest()
        : client_certificate_(*Certificate::generate(1'763'800'000)),
          worker_certificate_(*Certificate::generate(1'763'800'000)) {
        client_options_.bind_address = worker_options_.bind_address = "127.0.0.1";
    }
    void open() {
        client_ = open(client_certificate_, client_options_);
        worker_ = open(worker_certificate_, worker_options_);
    }
    std::unique_ptr<Endpoint> open(const Certificate& certificate, const EndpointOptions& options) {
        auto opened =
            open_endpoint(loop_, system_clock(), crypto::system_random(), certificate, options);
        EXPECT_TRUE(opened.ok()) << opened.error().detail;
        return std::move(*opened);
    }
    std::unique_ptr<PeerObserver> client_peer() {
        return std::make_unique<HearingPeer>(client_heard_, false);
    }
    std::unique_ptr<PeerObserver> worker_peer() {
        return std::make_unique<HearingPeer>(worker_heard_, true);
    }
    bool wait_for(const std::function<bool()>& done) {
        return loop_.run_until(done, std::chrono::seconds(60));
    }
    /// Says something on the client's channel, and waits until the worker said it again.
    bool echoes(const std::string& text) {
        if (!wait_for([&] { return client_heard_.channel != nullptr; })) return false;
        const std::size_t before = client_heard_.messages.size();
        if (!client_heard_.channel->send({}, as_bytes(text)).ok()) return false;
        return wait_for([&] { return client_heard_.messages.size() > before; }) &&
               client_heard_.messages.back() == text;
    }
    /// By offer and answer, with a channel. Gives the peers' ids.
    std::pair<PeerId, PeerId> connect() {
        const Result<LocalOffer> offer = client_->offer(client_peer());
        EXPECT_TRUE(
            client_->open_channel(offer->peer, {.label = "kollator", .protocol = "v1"}).ok());
        const Result<Answer> answer = worker_->accept(offer->sdp, worker_peer());
        EXPECT_TRUE(client_->accept_answer(offer->peer, answer->sdp).ok());
        EXPECT_TRUE(
            wait_for([&] { return client_heard_.connected + worker_heard_.connected == 2; }));
        return {offer->peer, answer->peer};
    }

    EventLoop loop_;
    Certificate client_certificate_;
    Certificate worker_certificate_;
    EndpointOptions client_options_;
    EndpointOptions worker_options_;
    Heard client_heard_;
    Heard worker_heard_;
    std::unique_ptr<Endpoint> client_;
    std::unique_ptr<Endpoint> worker_;
};

}  // namespace kollator::rtc
