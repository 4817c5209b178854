// How connections that all want more than there is share one endpoint.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "rtc/testing/endpoint_pair.h"

namespace kollator::rtc {
namespace {

constexpr std::size_t kMessageBytes = 64 * 1024;

/// Sends as much as it can.
class Source final : public DataChannelObserver {
 public:
    explicit Source(DataChannel& channel) : channel_(channel) {}
    void on_message(ByteSpan, bool) override { fill(); }
    void on_writable() override { fill(); }
    void on_close() override {}

 private:
    void fill() {
        while (channel_.send({}, message_).ok()) {
        }
    }

    DataChannel& channel_;
    const Bytes message_ = Bytes(kMessageBytes, 7);
};

class SourcePeer final : public PeerObserver {
 public:
    std::unique_ptr<DataChannelObserver> on_channel(DataChannel& channel) override {
        return std::make_unique<Source>(channel);
    }
    void on_closed(const std::string&) override {}
};

/// Asks for it, and counts.
class Sink final : public DataChannelObserver {
 public:
    explicit Sink(std::size_t& bytes) : bytes_(bytes) {}
    void on_message(ByteSpan message, bool) override { bytes_ += message.size(); }
    void on_writable() override {}
    void on_close() override {}

 private:
    std::size_t& bytes_;
};

struct Download {
    std::unique_ptr<Endpoint> endpoint;
    DataChannel* channel = nullptr;
    std::size_t bytes = 0;
};

class SinkPeer final : public PeerObserver {
 public:
    explicit SinkPeer(Download& download) : download_(download) {}
    std::unique_ptr<DataChannelObserver> on_channel(DataChannel& channel) override {
        download_.channel = &channel;
        return std::make_unique<Sink>(download_.bytes);
    }
    void on_closed(const std::string&) override {}

 private:
    Download& download_;
};

class FairnessTest : public EndpointPairTest {
 protected:
    /// All are connected before one begins.
    void connect(std::size_t count) {
        worker_ = open(worker_certificate_, worker_options_);
        worker_->accept_direct([](PeerId) { return std::make_unique<SourcePeer>(); });
        downloads_.resize(count);
        for (Download& download : downloads_) {
            download.endpoint = open(client_certificate_, client_options_);
            const auto peer = download.endpoint->dial(worker_->direct_addresses().at(0),
                                                      std::make_unique<SinkPeer>(download));
            ASSERT_TRUE(peer.ok());
            const ChannelOptions channel{.label = "kollator", .protocol = {}};
            ASSERT_TRUE(download.endpoint->open_channel(*peer, channel).ok());
            ASSERT_TRUE(wait_for([&] { return download.channel != nullptr; }));
        }
    }
    void start(Download& download) { ASSERT_TRUE(download.channel->send({}, as_bytes("go")).ok()); }
    /// What each gets of the next `bytes`.
    std::vector<double> shares_of(std::size_t bytes) {
        std::vector<std::size_t> before;
        for (const Download& download : downloads_) before.push_back(download.bytes);
        const auto got = [&] {
            std::vector<std::size_t> each;
            for (std::size_t i = 0; i < before.size(); ++i) {
                each.push_back(downloads_[i].bytes - before[i]);
            }
            return each;
        };
        const auto total = [&] {
            const std::vector<std::size_t> each = got();
            return std::accumulate(each.begin(), each.end(), std::size_t{0});
        };
        EXPECT_TRUE(wait_for([&] { return total() >= bytes; }));
        std::vector<double> shares;
        for (const std::size_t each : got()) {
            shares.push_back(static_cast<double>(each) / static_cast<double>(total()));
        }
        return shares;
    }

    std::vector<Download> downloads_;
};

TEST_F(FairnessTest, GivesDownloadsAboutEqualShares) {
    connect(4);
    for (Download& download : downloads_) start(download);
    shares_of(8 << 20);  // the beginning, which is each one's own
    for (const double share : shares_of(64 << 20)) {
        EXPECT_GT(share, 0.25 / 2);
        EXPECT_LT(share, 0.25 * 2);
    }
}

TEST_F(FairnessTest, LetsALatecomerIn) {
    connect(2);
    start(downloads_[0]);
    shares_of(32 << 20);
    start(downloads_[1]);
    shares_of(16 << 20);
    const std::vector<double> shares = shares_of(32 << 20);
    EXPECT_GT(shares[1], 0.25);
    EXPECT_LT(shares[1], 0.75);
}

}  // namespace
}  // namespace kollator::rtc
