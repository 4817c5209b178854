#include <cstdint>
#include <string>
#include <vector>

#include "base/check.h"
#include "rtc/channel/channel_set.h"

namespace kollator::rtc {
namespace {

/// Takes what the channels send, and has room for it every other time.
class FuzzAssociation final : public SctpAssociation {
 public:
    void connect(TimePoint) override {}
    void handle_packet(ByteSpan, TimePoint) override {}
    void poll(TimePoint) override {}
    bool wants_poll() const override { return false; }
    Status send(const SctpSendOptions&, ByteSpan, ByteSpan) override {
        if (++calls_ % 2 == 0) return make_error(ErrorCode::kLimit, "full");
        return {};
    }
    std::size_t buffered_bytes() const override { return 0; }
    std::size_t writable_bytes() const override { return 0; }
    std::uint16_t outgoing_streams() const override { return 256; }
    void reset_stream(std::uint16_t stream) override { KOLLATOR_CHECK(stream < 256); }
    void abort() override {}

 private:
    unsigned int calls_ = 0;
};

/// Answers every message, and closes its channel at some.
class FuzzChannel final : public DataChannelObserver {
 public:
    explicit FuzzChannel(DataChannel& channel) : channel_(channel) {}
    void on_message(ByteSpan message, bool) override {
        KOLLATOR_CHECK(!closed_);
        static_cast<void>(channel_.send({}, message).ok());
        if (message.size() % 5 == 4) channel_.close();
    }
    void on_writable() override { KOLLATOR_CHECK(!closed_); }
    void on_close() override {
        KOLLATOR_CHECK(!closed_);
        closed_ = true;
    }

 private:
    DataChannel& channel_;
    bool closed_ = false;
};

class FuzzObserver final : public DataTransportObserver {
 public:
    void on_transport_connected() override {}
    std::unique_ptr<DataChannelObserver> on_transport_channel(DataChannel& channel) override {
        if (channel.label() == "no") return nullptr;
        return std::make_unique<FuzzChannel>(channel);
    }
    void on_transport_closed(const std::string&) override {}
};

}  // namespace
}  // namespace kollator::rtc

// The input is a run of events: kind, stream, size, and for messages that many bytes.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace kollator::rtc;
    FuzzAssociation association;
    FuzzObserver observer;
    ChannelSet channels(DtlsRole::kServer, 65536, observer);
    channels.on_connected(association);
    kollator::ByteReader reader(kollator::ByteSpan(data, size));
    while (reader.remaining() > 0) {
        const std::uint8_t kind = reader.u8();
        const std::uint16_t stream = reader.u8();
        switch (kind % 8) {
            case 0:
                channels.on_reset(stream);
                break;
            case 1:
                channels.on_reset_done(stream);
                break;
            case 2:
                channels.on_writable();
                break;
            case 3:
                static_cast<void>(channels.open({"ours", "", kind > 127}).ok());
                break;
            default: {
                const std::uint8_t length = reader.u8();
                channels.on_message(stream, 50U + kind / 8 % 8, reader.bytes(length));
                break;
            }
        }
        channels.flush();
        KOLLATOR_CHECK(channels.size() <= 256);
    }
    channels.close_all();
    return 0;
}
