#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "loop/event_loop.h"
#include "rtc/ice/candidate_pair.h"
#include "rtc/mux/receive_throttle.h"
#include "rtc/mux/send_queue.h"
#include "rtc/socket_address.h"

namespace kollator::rtc {

struct UdpStats {
    std::uint64_t datagrams_sent = 0;
    std::uint64_t datagrams_received = 0;
    std::uint64_t bytes_sent = 0;
    std::uint64_t bytes_received = 0;
    std::uint64_t send_calls = 0;  ///< system calls, for datagrams a call
    std::uint64_t receive_calls = 0;
    std::uint64_t pauses = 0;  ///< before reading, since the socket is busy (ReceiveThrottle)
    std::uint64_t dropped_queue_full = 0;
    std::uint64_t dropped_refused = 0;  ///< the kernel would not send them
};

/// One UDP socket of many peers. Datagrams go out in batches: send() queues, flush() hands them to
/// the kernel with as few calls as it allows. Loop thread only.
class UdpSocket {
 public:
    /// A datagram, valid for the call; the path's `local` is the address that it came to.
    using Receiver = std::function<void(const IcePath& path, ByteSpan datagram)>;

    /// Binds. `address` unspecified and v6: dual stack. kUnavailable: the port is taken, or the
    /// address is not this machine's.
    static Result<std::unique_ptr<UdpSocket>> open(EventLoop& loop, const SocketAddress& address);
    ~UdpSocket();
    UdpSocket(const UdpSocket&) = delete;
    UdpSocket& operator=(const UdpSocket&) = delete;

    /// From now on `on_datagram` runs for each datagram, and `on_batch_end` after each batch of
    /// them; `on_writable` when blocked() ended. None of them may destroy the socket.
    void start(
        Receiver on_datagram, EventLoop::Task on_batch_end, EventLoop::Task on_writable = [] {});

    /// Queues one datagram for the next flush(). Dropped, as UDP may, where SendQueue::kMaxBytes
    /// are waiting already.
    void send(const IcePath& path, ByteSpan datagram);
    /// Sends what is queued. What the kernel has no room for now follows when it has.
    void flush();
    /// The kernel has no room: what is sent waits here until it has.
    bool blocked() const { return waiting_writable_; }
    std::size_t queued_bytes() const { return queue_.bytes(); }

    const SocketAddress& local_address() const { return local_; }
    bool dual_stack() const { return dual_stack_; }
    /// Whether the kernel cuts datagrams out of blocks now (UDP_SEGMENT).
    bool segmentation_offload() const;
    /// As where the kernel does not know it; for tests.
    void disable_segmentation_offload() { knows_segments_ = false; }
    /// As where the kernel has no room; for tests.
    void pretend_full(bool full) { pretends_full_ = full; }
    const UdpStats& stats() const { return stats_; }

 private:
    struct ReceiveBatch;
    struct SendBatch;

    UdpSocket(EventLoop& loop, int descriptor, const SocketAddress& local, bool dual_stack);
    void configure();
    void watch();
    void on_readable();
    void poll();
    void pause();
    ReceiveThrottle::Read receive();
    std::size_t receive_batch();
    void deliver(const IcePath& path, ByteSpan data, std::size_t segment_bytes);
    void pop(std::size_t datagrams);
    bool handle_send_error(int error, const SendRun& run);
    void wait_for_room(int error);
    void on_room();

    EventLoop& loop_;
    const int descriptor_;
    const SocketAddress local_;
    const bool dual_stack_;
    bool knows_segments_ = false;
    TimePoint no_segments_until_{};
    std::size_t singly_ = 0;  ///< of the queue's front: datagrams to be sent without segments
    bool waiting_writable_ = false;
    bool pretends_full_ = false;
    Receiver on_datagram_;
    EventLoop::Task on_batch_end_;
    EventLoop::Task on_writable_;
    SendQueue queue_;
    UdpStats stats_;
    std::unique_ptr<ReceiveBatch> receive_batch_;
    std::unique_ptr<SendBatch> send_batch_;
    std::unique_ptr<FdWatch> watch_;  ///< none while the socket is busy, and read by the clock
    ReceiveThrottle throttle_;
    Timer pause_;
    Timer retry_;
};

}  // namespace kollator::rtc
