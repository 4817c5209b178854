#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "rtc/sctp/sctp_association.h"
#include "rtc/testing/both_stacks.h"
#include "rtc/testing/real_steps.h"

namespace kollator::rtc::testing {

/// What a link does to packets, each way.
struct SctpLink {
    std::uint32_t loss = 0;  ///< per mille, as the next two
    std::uint32_t duplication = 0;
    std::uint32_t reordering = 0;  ///< comes up to 5 ms later than it should
    Duration delay{0};             ///< one way
    double bytes_per_second = 0;   ///< 0: any number
    std::size_t queue_bytes = 200'000;
};

/// One association without DTLS, recording what it is told.
class SctpEnd : public SctpObserver {
 public:
    struct Message {
        std::uint16_t stream;
        std::uint32_t ppid;
        Bytes bytes;
    };

    void on_sctp_packet(ByteSpan packet) override { on_packet(packet); }
    void on_sctp_connected() override { connected = true; }
    void on_sctp_message(std::uint16_t stream, std::uint32_t ppid, ByteSpan message) override {
        bytes_received += message.size();
        if (keep_messages) {
            messages.push_back({stream, ppid, Bytes(message.begin(), message.end())});
        }
    }
    void on_sctp_stream_reset(std::uint16_t stream) override { resets.push_back(stream); }
    void on_sctp_stream_reset_done(std::uint16_t stream) override { resets_done.push_back(stream); }
    void on_sctp_pending() override { ++times_pending; }
    void on_sctp_writable() override {
        if (on_writable) on_writable();
    }
    void on_sctp_closed(const std::string& reason) override {
        ++times_closed;
        close_reason = reason;
    }

    SctpOptions options;
    std::unique_ptr<SctpStack> stack;
    std::unique_ptr<SctpAssociation> association;
    bool connected = false;
    bool keep_messages = true;
    int times_closed = 0;
    int times_pending = 0;
    std::string close_reason;
    std::uint64_t bytes_received = 0;
    std::vector<Message> messages;
    std::vector<std::uint16_t> resets;
    std::vector<std::uint16_t> resets_done;
    std::function<void()> on_writable;
    std::function<void(ByteSpan)> on_packet;
};

/// Two associations, a stack each, with a link between them, in virtual time that leaps from event
/// to event. (With usrsctp, of which there can be one end, real time: RealSteps.)
class SctpPair {
 public:
    SctpPair(std::uint64_t seed, const SctpLink& the_link,
             SctpImplementation first = SctpImplementation::kOwn,
             SctpImplementation second = SctpImplementation::kOwn)
        : link(the_link),
          random_(seed),
          stack_random_(seed + 1),
          real_(first == SctpImplementation::kUsrsctp || second == SctpImplementation::kUsrsctp) {
        a.stack = make_stack(first, stack_random_);
        b.stack = make_stack(second, stack_random_);
        a.on_packet = [this](ByteSpan packet) { carry(packet, b, free_at_[0]); };
        b.on_packet = [this](ByteSpan packet) { carry(packet, a, free_at_[1]); };
    }
    SctpPair(const SctpPair&) = delete;
    SctpPair& operator=(const SctpPair&) = delete;

    bool connect() {
        for (SctpEnd* end : {&a, &b}) {
            end->association = end->stack->make(end->options, *end);
            end->association->connect(now);
        }
        return run_until([this] { return a.connected && b.connected; });
    }

    bool run_until(const std::function<bool()>& done, Duration limit = std::chrono::seconds(60)) {
        const TimePoint end = now + std::chrono::duration_cast<TimePoint::duration>(limit);
        while (true) {
            settle();
            if (done()) return true;
            if (now >= end) return false;
            now = std::min(advance(), end);
            for (SctpEnd* each : {&a, &b}) {
                if (each->stack->next_timeout(now) <= now) each->stack->handle_timers(now);
            }
        }
    }
    void run_for(Duration time) {
        static_cast<void>(run_until([] { return false; }, time));
    }

    SctpEnd a;
    SctpEnd b;
    SctpLink link;
    TimePoint now{std::chrono::hours(1)};
    std::uint64_t packets = 0;
    std::function<bool(ByteSpan)> drop;
    /// What a turn of the loop takes that both ends are on; what is due meanwhile comes late.
    Duration turn = std::chrono::microseconds(1);

 private:
    struct Arrival {
        SctpEnd* to;
        Bytes packet;
    };

    bool chance(std::uint32_t per_mille) {
        return per_mille > 0 && random_.u32() % 1000 < per_mille;
    }

    void carry(ByteSpan packet, SctpEnd& to, TimePoint& free_at) {
        ++packets;
        if (drop && drop(packet)) return;
        if (chance(link.loss)) return;
        TimePoint at = now;
        if (link.bytes_per_second > 0) {
            const auto in = [this](double bytes) {
                return std::chrono::duration_cast<TimePoint::duration>(
                    std::chrono::duration<double>(bytes / link.bytes_per_second));
            };
            if (free_at > now + in(static_cast<double>(link.queue_bytes))) return;
            free_at = std::max(free_at, now) + in(static_cast<double>(packet.size()));
            at = free_at;
        }
        at += std::chrono::duration_cast<TimePoint::duration>(link.delay);
        if (chance(link.reordering)) at += std::chrono::microseconds(random_.u32() % 5000);
        const Bytes bytes(packet.begin(), packet.end());
        if (chance(link.duplication)) arrivals_.insert({at, {&to, bytes}});
        arrivals_.insert({at, {&to, bytes}});
    }

    /// What can be done without time passing.
    void settle() {
        for (int round = 0; round < 100; ++round) {
            while (!arrivals_.empty() && arrivals_.begin()->first <= now) {
                const Arrival arrival = std::move(arrivals_.begin()->second);
                arrivals_.erase(arrivals_.begin());
                if (arrival.to->association) {
                    arrival.to->association->handle_packet(arrival.packet, now);
                }
            }
            bool more = !arrivals_.empty() && arrivals_.begin()->first <= now;
            for (SctpEnd* end : {&a, &b}) {
                if (!end->association) continue;
                end->association->poll(now);
                more = more || end->association->wants_poll();
            }
            if (!more && (arrivals_.empty() || arrivals_.begin()->first > now)) return;
        }
    }

    TimePoint advance() {
        if (real_) return now + real_steps_.next();
        TimePoint next = std::min(a.stack->next_timeout(now), b.stack->next_timeout(now));
        if (!arrivals_.empty()) next = std::min(next, arrivals_.begin()->first);
        return std::max(next, now + std::chrono::duration_cast<TimePoint::duration>(turn));
    }
    SeededRandom random_;
    SeededRandom stack_random_;
    bool real_;
    RealSteps real_steps_;
    TimePoint free_at_[2] = {};
    std::multimap<TimePoint, Arrival> arrivals_;
};

}  // namespace kollator::rtc::testing
