#include "rtc/mux/udp_socket.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/log.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

namespace kollator::rtc {

namespace {

const log::Logger kLog("rtc");

// What the kernel gives at most is net.core.rmem_max and wmem_max, unless we may pass them. 4 MiB
// hold 30 ms of 1 Gbit/s: a loop's turn that took long loses nothing.
constexpr int kSocketBufferBytes = 4 * 1024 * 1024;
constexpr std::size_t kReceiveMessages = 16;
constexpr std::size_t kReceiveBytes = 65536;  ///< of each; what UDP_GRO joins
constexpr int kReceiveBatchesPerTurn = 4;     ///< then the loop's other work has its turn
constexpr std::size_t kSendMessages = 32;
/// After ENOBUFS, which poll() does not tell the end of: some packet times of a slow device.
constexpr std::chrono::milliseconds kNoBuffersRetry{1};
/// After a device could not do segments; another route may.
constexpr std::chrono::minutes kNoSegmentsFor{1};
// A browser's ICE socket has a receive buffer of 128 KiB, which more than about 50 datagrams in one
// burst overflow.
constexpr std::size_t kMaxSegments = 32;
constexpr std::size_t kControlBytes =
    CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(in_pktinfo)) + CMSG_SPACE(sizeof(int));

struct alignas(cmsghdr) Control {
    std::array<char, kControlBytes> bytes;
};

void set_option(int descriptor, int level, int name, int value) {
    setsockopt(descriptor, level, name, &value, sizeof(value));
}

// IP_PKTINFO: so that an answer leaves from the address that was asked (multi-homed machines).
void append_source(msghdr& message, const IpAddress& local, bool dual_stack) {
    auto* const header = reinterpret_cast<cmsghdr*>(static_cast<char*>(message.msg_control) +
                                                    message.msg_controllen);
    if (dual_stack || local.is_v6()) {
        sockaddr_storage mapped{};
        SocketAddress{local, 0}.to_sockaddr(mapped, true);
        sockaddr_in6 from{};
        std::memcpy(&from, &mapped, sizeof(from));
        in6_pktinfo info{};
        info.ipi6_addr = from.sin6_addr;
        header->cmsg_level = IPPROTO_IPV6;
        header->cmsg_type = IPV6_PKTINFO;
        header->cmsg_len = CMSG_LEN(sizeof(info));
        std::memcpy(CMSG_DATA(header), &info, sizeof(info));
        message.msg_controllen += CMSG_SPACE(sizeof(info));
        return;
    }
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, local.bytes().data(), 4);
    header->cmsg_level = IPPROTO_IP;
    header->cmsg_type = IP_PKTINFO;
    header->cmsg_len = CMSG_LEN(sizeof(info));
    std::memcpy(CMSG_DATA(header), &info, sizeof(info));
    message.msg_controllen += CMSG_SPACE(sizeof(info));
}

void append_segment_size(msghdr& message, std::size_t segment_bytes) {
    auto* const header = reinterpret_cast<cmsghdr*>(static_cast<char*>(message.msg_control) +
                                                    message.msg_controllen);
    const auto size = static_cast<std::uint16_t>(segment_bytes);
    header->cmsg_level = IPPROTO_UDP;
    header->cmsg_type = UDP_SEGMENT;
    header->cmsg_len = CMSG_LEN(sizeof(size));
    std::memcpy(CMSG_DATA(header), &size, sizeof(size));
    message.msg_controllen += CMSG_SPACE(sizeof(size));
}

struct Arrival {
    IpAddress local;
    std::size_t segment_bytes = 0;  ///< 0: one datagram
};

Arrival read_control(msghdr& message) {
    Arrival arrival;
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            in_pktinfo info{};
            std::memcpy(&info, CMSG_DATA(c), sizeof(info));
            std::array<std::uint8_t, 4> raw{};
            std::memcpy(raw.data(), &info.ipi_addr, raw.size());
            arrival.local = IpAddress::v4(raw);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            in6_pktinfo info{};
            std::memcpy(&info, CMSG_DATA(c), sizeof(info));
            std::array<std::uint8_t, 16> raw{};
            std::memcpy(raw.data(), &info.ipi6_addr, raw.size());
            arrival.local = IpAddress::v6(raw);
        } else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
            int size = 0;
            std::memcpy(&size, CMSG_DATA(c), sizeof(size));
            arrival.segment_bytes = size > 0 ? static_cast<std::size_t>(size) : 0;
        }
    }
    return arrival;
}

}  // namespace

struct UdpSocket::ReceiveBatch {
    std::unique_ptr<std::uint8_t[]> memory =
        std::make_unique_for_overwrite<std::uint8_t[]>(kReceiveMessages * kReceiveBytes);
    std::array<mmsghdr, kReceiveMessages> messages{};
    std::array<iovec, kReceiveMessages> blocks{};
    std::array<sockaddr_storage, kReceiveMessages> sources{};
    std::array<Control, kReceiveMessages> controls{};

    void prepare() {
        for (std::size_t i = 0; i < kReceiveMessages; ++i) {
            blocks[i] = {memory.get() + i * kReceiveBytes, kReceiveBytes};
            msghdr& header = messages[i].msg_hdr;
            header = {};
            header.msg_name = &sources[i];
            header.msg_namelen = sizeof(sources[i]);
            header.msg_iov = &blocks[i];
            header.msg_iovlen = 1;
            header.msg_control = controls[i].bytes.data();
            header.msg_controllen = controls[i].bytes.size();
        }
    }
};

struct UdpSocket::SendBatch {
    std::array<mmsghdr, kSendMessages> messages{};
    std::array<iovec, kSendMessages> blocks{};
    std::array<sockaddr_storage, kSendMessages> targets{};
    std::array<Control, kSendMessages> controls{};
    std::array<SendRun, kSendMessages> runs;

    void put(std::size_t i, const SendRun& run, bool dual_stack) {
        runs[i] = run;
        blocks[i] = {const_cast<std::uint8_t*>(run.bytes.data()), run.bytes.size()};
        msghdr& header = messages[i].msg_hdr;
        header = {};
        header.msg_name = &targets[i];
        header.msg_namelen = run.path.remote.to_sockaddr(targets[i], dual_stack);
        header.msg_iov = &blocks[i];
        header.msg_iovlen = 1;
        header.msg_control = controls[i].bytes.data();
        if (!run.path.local.is_unspecified()) append_source(header, run.path.local, dual_stack);
        if (run.count > 1) append_segment_size(header, run.segment_bytes);
        if (header.msg_controllen == 0) header.msg_control = nullptr;
    }
};

Result<std::unique_ptr<UdpSocket>> UdpSocket::open(EventLoop& loop, const SocketAddress& address) {
    const bool v6 = address.ip.is_v6();
    const bool dual_stack = v6 && address.ip.is_unspecified();
    const auto failed = [&address](const char* what, int error) {
        return make_error(ErrorCode::kUnavailable, fmt::format("udp {}: {}: {}", address.text(),
                                                               what, std::strerror(error)));
    };
    const int descriptor =
        ::socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return failed("socket", errno);
    if (v6) set_option(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, dual_stack ? 0 : 1);
    sockaddr_storage raw{};
    const socklen_t size = address.to_sockaddr(raw, v6);
    if (::bind(descriptor, reinterpret_cast<sockaddr*>(&raw), size) != 0) {
        const int error = errno;
        ::close(descriptor);
        return failed("bind", error);
    }
    socklen_t bound_size = sizeof(raw);
    getsockname(descriptor, reinterpret_cast<sockaddr*>(&raw), &bound_size);
    SocketAddress bound = address;
    if (const auto named = SocketAddress::from_sockaddr(raw)) bound.port = named->port;
    return std::unique_ptr<UdpSocket>(new UdpSocket(loop, descriptor, bound, dual_stack));
}

UdpSocket::UdpSocket(EventLoop& loop, int descriptor, const SocketAddress& local, bool dual_stack)
    : loop_(loop),
      descriptor_(descriptor),
      local_(local),
      dual_stack_(dual_stack),
      receive_batch_(std::make_unique<ReceiveBatch>()),
      send_batch_(std::make_unique<SendBatch>()),
      pause_(loop),
      retry_(loop) {
    configure();
}

UdpSocket::~UdpSocket() {
    watch_.reset();
    ::close(descriptor_);
}

void UdpSocket::configure() {
    set_option(descriptor_, SOL_SOCKET, SO_RCVBUF, kSocketBufferBytes);
    set_option(descriptor_, SOL_SOCKET, SO_SNDBUF, kSocketBufferBytes);
    // Past the system's maxima, where we are privileged.
    set_option(descriptor_, SOL_SOCKET, SO_RCVBUFFORCE, kSocketBufferBytes);
    set_option(descriptor_, SOL_SOCKET, SO_SNDBUFFORCE, kSocketBufferBytes);
    // Our datagrams fit nearly every path; where one is narrower, fragments arrive and lost
    // "fragmentation needed" messages would not.
    set_option(descriptor_, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
    if (local_.ip.is_v6()) {
        set_option(descriptor_, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
        set_option(descriptor_, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    } else {
        set_option(descriptor_, IPPROTO_IP, IP_PKTINFO, 1);
    }
    set_option(descriptor_, IPPROTO_UDP, UDP_GRO, 1);
    // A kernel that knows the option knows the control message; whether the route's device can do
    // it is found out by sending.
    const int none = 0;
    knows_segments_ = setsockopt(descriptor_, IPPROTO_UDP, UDP_SEGMENT, &none, sizeof(none)) == 0;
}

void UdpSocket::start(Receiver on_datagram, EventLoop::Task on_batch_end,
                      EventLoop::Task on_writable) {
    on_datagram_ = std::move(on_datagram);
    on_batch_end_ = std::move(on_batch_end);
    on_writable_ = std::move(on_writable);
    watch();
}

void UdpSocket::watch() {
    watch_ = std::make_unique<FdWatch>(loop_, descriptor_);
    watch_->on_readable([this] { on_readable(); });
    if (waiting_writable_ && !retry_.active()) watch_->when_writable([this] { on_room(); });
}

void UdpSocket::on_readable() {
    const ReceiveThrottle::Read read = receive();
    // Whether there is room to send again, only the watch tells.
    if (!throttle_.woken(read, loop_.now()) || waiting_writable_) return;
    watch_.reset();
    pause();
}

void UdpSocket::pause() {
    ++stats_.pauses;
    pause_.start_after(ReceiveThrottle::kPause, [this] { poll(); });
}

void UdpSocket::poll() {
    const ReceiveThrottle::Read read = receive();
    if (throttle_.polled(read) || waiting_writable_) {
        watch();
    } else {
        pause();
    }
}

/// What is there, up to kReceiveBatchesPerTurn.
ReceiveThrottle::Read UdpSocket::receive() {
    const std::uint64_t datagrams = stats_.datagrams_received;
    const std::uint64_t bytes = stats_.bytes_received;
    ReceiveThrottle::Read read;
    for (int batch = 0; batch < kReceiveBatchesPerTurn; ++batch) {
        const std::size_t messages = receive_batch();
        if (messages > 0) on_batch_end_();
        read.messages += messages;
        if (messages < kReceiveMessages) break;
    }
    read.datagrams = stats_.datagrams_received - datagrams;
    read.bytes = stats_.bytes_received - bytes;
    return read;
}

std::size_t UdpSocket::receive_batch() {
    ReceiveBatch& batch = *receive_batch_;
    batch.prepare();
    const int received =
        recvmmsg(descriptor_, batch.messages.data(), kReceiveMessages, MSG_DONTWAIT, nullptr);
    ++stats_.receive_calls;
    // Errors here are pending ICMP messages or EAGAIN: nothing to do about either.
    if (received <= 0) return 0;
    for (std::size_t i = 0; i < static_cast<std::size_t>(received); ++i) {
        const auto source = SocketAddress::from_sockaddr(batch.sources[i]);
        if (!source || source->port == 0) continue;
        const Arrival arrival = read_control(batch.messages[i].msg_hdr);
        const ByteSpan data(batch.memory.get() + i * kReceiveBytes, batch.messages[i].msg_len);
        deliver({arrival.local, *source}, data, arrival.segment_bytes);
    }
    return static_cast<std::size_t>(received);
}

void UdpSocket::deliver(const IcePath& path, ByteSpan data, std::size_t segment_bytes) {
    stats_.bytes_received += data.size();
    while (!data.empty()) {
        const std::size_t size =
            segment_bytes == 0 ? data.size() : std::min(segment_bytes, data.size());
        ++stats_.datagrams_received;
        on_datagram_(path, data.first(size));
        data = data.subspan(size);
    }
}

void UdpSocket::send(const IcePath& path, ByteSpan datagram) {
    if (!queue_.push(path, datagram)) ++stats_.dropped_queue_full;
}

void UdpSocket::flush() {
    while (!queue_.empty() && !waiting_writable_) {
        if (pretends_full_) return wait_for_room(EAGAIN);
        SendBatch& batch = *send_batch_;
        const bool segments = segmentation_offload();
        std::size_t messages = 0;
        for (std::size_t at = 0; at < queue_.size() && messages < kSendMessages; ++messages) {
            const bool singly = at < singly_ || !segments;
            const SendRun run = queue_.run_at(at, singly ? 1 : kMaxSegments);
            batch.put(messages, run, dual_stack_);
            at += run.count;
        }
        const int sent = sendmmsg(descriptor_, batch.messages.data(),
                                  static_cast<unsigned>(messages), MSG_DONTWAIT);
        ++stats_.send_calls;
        if (sent < 0 && !handle_send_error(errno, batch.runs[0])) return;
        std::size_t done = 0;
        for (int i = 0; i < sent; ++i) {
            const SendRun& run = batch.runs[static_cast<std::size_t>(i)];
            stats_.datagrams_sent += run.count;
            stats_.bytes_sent += run.bytes.size();
            done += run.count;
        }
        pop(done);
    }
}

void UdpSocket::pop(std::size_t datagrams) {
    queue_.pop(datagrams);
    singly_ -= std::min(singly_, datagrams);
}

bool UdpSocket::segmentation_offload() const {
    return knows_segments_ && loop_.now() >= no_segments_until_;
}

/// The first message of a batch was refused. False: nothing more can be sent now.
bool UdpSocket::handle_send_error(int error, const SendRun& run) {
    if (error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS) {
        wait_for_room(error);
        return false;
    }
    if (error == EINTR) return true;
    // udp(7), udp_send_skb() in Linux. EIO: the route's device cannot checksum segments.
    if (run.count > 1 && error == EIO) {
        no_segments_until_ = loop_.now() + kNoSegmentsFor;
        kLog.info("event=gso-refused error=\"{}\"", std::strerror(error));
        return true;
    }
    // EINVAL: they do not fit this path's MTU, or it is the address that is refused. One by one
    // they tell; other peers' keep their segments.
    if (run.count > 1 && error == EINVAL) {
        singly_ = run.count;
        return true;
    }
    stats_.dropped_refused += run.count;
    kLog.debug("event=send-refused to={} error=\"{}\"", run.path.remote.text(),
               std::strerror(error));
    pop(run.count);
    return true;
}

void UdpSocket::wait_for_room(int error) {
    waiting_writable_ = true;
    if (error == ENOBUFS) {
        retry_.start_after(kNoBuffersRetry, [this] { on_room(); });
        return;
    }
    if (watch_) watch_->when_writable([this] { on_room(); });
    // Otherwise the watch that ends the pause tells it.
}

void UdpSocket::on_room() {
    waiting_writable_ = false;
    flush();
    if (!waiting_writable_) on_writable_();
}

}  // namespace kollator::rtc
