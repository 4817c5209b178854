#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "base/time.h"
#include "rtc/ice/candidate.h"
#include "rtc/mux/host_addresses.h"

namespace kollator::rtc {

/// The host candidates of an endpoint, the best first. The machine's addresses come and go: a
/// worker may be up before its network is.
class HostCandidates {
 public:
    using ReadMachine = std::function<std::vector<IpAddress>()>;

    /// `port`: of the endpoint's socket. `read_machine`: machine_addresses(), or a test's.
    HostCandidates(HostAddressOptions options, std::uint16_t port, ReadMachine read_machine);

    /// Those of now; the machine is asked where the last time was kReread ago. The reference is
    /// good until the next call.
    const std::vector<Candidate>& at(TimePoint now);

    /// A read is some system calls: not for every offer.
    static constexpr Duration kReread = std::chrono::seconds(30);

 private:
    const HostAddressOptions options_;
    const std::uint16_t port_;
    const ReadMachine read_machine_;
    std::optional<TimePoint> read_at_;
    std::vector<Candidate> candidates_;
};

}  // namespace kollator::rtc
