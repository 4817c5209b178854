#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/random.h"
#include "rtc/certificate.h"
#include "rtc/data_transport.h"
#include "rtc/testing/both_stacks.h"
#include "rtc/testing/real_steps.h"

namespace kollator::rtc::testing {

/// What the link between the two ends does to datagrams, in per mille, by a seeded generator.
struct Impairment {
    std::uint32_t loss = 0;
    std::uint32_t duplication = 0;
    std::uint32_t reordering = 0;  ///< put behind the next ones
    Duration delay{0};
};

/// One end of the pair, recording all that it is told.
class TransportEnd : public DataTransportSink, public DataTransportObserver {
 public:
    struct Message {
        std::uint16_t stream;
        Bytes bytes;
        bool binary;
    };

    TransportEnd() : certificate(make_certificate()) {}

    void on_transport_datagram(ByteSpan datagram) override {
        outbox.emplace_back(datagram.begin(), datagram.end());
    }
    void on_transport_connected() override { connected = true; }
    std::unique_ptr<DataChannelObserver> on_transport_channel(DataChannel& channel) override {
        if (refuse_channels) return nullptr;
        channels.push_back(&channel);
        labels.emplace_back(channel.label());
        if (on_channel) on_channel(channel);
        return std::make_unique<Recorder>(*this, channel);
    }
    void on_transport_closed(const std::string& reason) override {
        ++times_closed;
        close_reason = reason;
    }

    DataChannel& channel(std::size_t index = 0) { return *channels.at(index); }

    Certificate certificate;
    std::unique_ptr<DataTransport> transport;
    DataTransportOptions options;
    std::deque<Bytes> outbox;

    bool connected = false;
    bool refuse_channels = false;
    bool keep_messages = true;
    int times_closed = 0;
    int times_writable = 0;
    std::uint64_t bytes_received = 0;
    std::uint64_t messages_received = 0;
    std::string close_reason;
    std::vector<DataChannel*> channels;  ///< open ones, in the order of their opening
    std::vector<std::string> labels;     ///< of all that ever opened
    std::vector<Message> messages;
    std::vector<std::uint16_t> closed_streams;
    std::function<void(DataChannel&)> on_channel;
    std::function<void(DataChannel&, ByteSpan)> on_message;
    std::function<void(DataChannel&)> on_writable;

 private:
    class Recorder final : public DataChannelObserver {
     public:
        Recorder(TransportEnd& end, DataChannel& channel) : end_(end), channel_(channel) {}
        void on_message(ByteSpan message, bool binary) override {
            ++end_.messages_received;
            end_.bytes_received += message.size();
            if (end_.keep_messages) {
                end_.messages.push_back(
                    {channel_.stream_id(), Bytes(message.begin(), message.end()), binary});
            }
            if (end_.on_message) end_.on_message(channel_, message);
        }
        void on_writable() override {
            ++end_.times_writable;
            if (end_.on_writable) end_.on_writable(channel_);
        }
        void on_close() override {
            end_.closed_streams.push_back(channel_.stream_id());
            std::erase(end_.channels, &channel_);
        }

     private:
        TransportEnd& end_;
        DataChannel& channel_;
    };

    static Certificate make_certificate() {
        auto certificate = Certificate::generate(1'763'800'000);
        KOLLATOR_CHECK(certificate.ok());
        return std::move(*certificate);
    }
};

/// Two data transports. Time moves only by step() and run_until().
class TransportPair {
 public:
    explicit TransportPair(SctpImplementation sctp, std::uint64_t seed = 1,
                           const SctpStackOptions& options = {})
        : random_(seed),
          stack_random_(seed + 1),
          stack(make_stack(sctp, stack_random_, options)),
          follows_real_clock_(sctp == SctpImplementation::kUsrsctp) {
        client.options.role = DtlsRole::kClient;
        server.options.role = DtlsRole::kServer;
        client.options.remote_fingerprint = server.certificate.fingerprint();
        server.options.remote_fingerprint = client.certificate.fingerprint();
        client.options.remote_max_message_bytes = server.options.remote_max_message_bytes = 262144;
    }

    void start() {
        for (TransportEnd* end : {&server, &client}) {
            end->transport =
                make_data_transport(end->certificate, *stack, end->options, *end, *end);
            end->transport->start(now);
        }
    }

    /// Carries what can be carried without time passing, then lets `by` pass.
    void step(Duration by = std::chrono::milliseconds(10)) {
        settle();
        now += std::chrono::duration_cast<TimePoint::duration>(by);
        if (stack->next_timeout(now) <= now) stack->handle_timers(now);
        for (TransportEnd* end : {&client, &server}) {
            if (!end->transport) continue;
            const auto due = end->transport->next_timeout();
            if (due && *due <= now) end->transport->handle_timeout(now);
        }
        poll();
    }

    /// Steps until `done`, at most `limit` of virtual time.
    bool run_until(const std::function<bool()>& done, Duration limit = std::chrono::seconds(60)) {
        const TimePoint end = now + std::chrono::duration_cast<TimePoint::duration>(limit);
        while (!done()) {
            if (now >= end) return false;
            step(losses && follows_real_clock_ ? real_steps_.next()
                                               : std::chrono::milliseconds(10));
        }
        return true;
    }

    bool connect() {
        start();
        return run_until([this] { return client.connected && server.connected; });
    }

    /// A channel from the client, open at both ends.
    bool open(const ChannelOptions& channel) {
        const std::size_t before = client.channels.size();
        const std::size_t before_server = server.channels.size();
        return client.transport->open_channel(channel).ok() && run_until([&] {
                   return client.channels.size() > before && server.channels.size() > before_server;
               });
    }

    /// One round of datagrams; no time passes.
    void settle_once() { settle(1); }

    void poll() {
        for (TransportEnd* end : {&client, &server}) {
            if (end->transport) end->transport->poll(now);
        }
    }

 private:
    SeededRandom random_;
    SeededRandom stack_random_;

 public:
    std::unique_ptr<SctpStack> stack;
    TimePoint now{std::chrono::hours(1)};
    Impairment impairment;
    /// Set where something is lost (RealSteps, with usrsctp).
    bool losses = false;
    TransportEnd client;
    TransportEnd server;
    std::uint64_t datagrams = 0;

 private:
    struct InFlight {
        TransportEnd* to;
        TimePoint due;
        Bytes datagram;
    };

    bool chance(std::uint32_t per_mille) {
        return per_mille > 0 && random_.u32() % 1000 < per_mille;
    }

    void collect(TransportEnd& from, TransportEnd& to) {
        while (!from.outbox.empty()) {
            Bytes datagram = std::move(from.outbox.front());
            from.outbox.pop_front();
            ++datagrams;
            if (chance(impairment.loss)) continue;
            if (chance(impairment.duplication)) {
                in_flight_.push_back({&to, now + impairment.delay, datagram});
            }
            in_flight_.push_back({&to, now + impairment.delay, std::move(datagram)});
            if (in_flight_.size() >= 2 && chance(impairment.reordering)) {
                std::swap(in_flight_.back(), in_flight_[in_flight_.size() - 2]);
            }
        }
    }

    void settle(int rounds = 64) {  // a bound: two ends may answer each other for ever
        for (int round = 0; round < rounds; ++round) {
            collect(client, server);
            collect(server, client);
            std::deque<InFlight> due;
            due.swap(in_flight_);
            bool moved = false;
            for (InFlight& one : due) {
                if (one.due > now) {
                    in_flight_.push_back(std::move(one));
                    continue;
                }
                moved = true;
                if (one.to->transport) one.to->transport->handle_datagram(one.datagram, now);
            }
            poll();
            if (!moved && client.outbox.empty() && server.outbox.empty()) return;
        }
    }

    RealSteps real_steps_;
    bool follows_real_clock_;
    std::deque<InFlight> in_flight_;
};

}  // namespace kollator::rtc::testing
