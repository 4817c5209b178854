#include "rtc/mux/host_candidates.h"

#include <string>
#include <utility>

namespace kollator::rtc {

HostCandidates::HostCandidates(HostAddressOptions options, std::uint16_t port,
                               ReadMachine read_machine)
    : options_(std::move(options)), port_(port), read_machine_(std::move(read_machine)) {}

const std::vector<Candidate>& HostCandidates::at(TimePoint now) {
    if (read_at_ && now < *read_at_ + kReread) return candidates_;
    read_at_ = now;
    candidates_.clear();
    std::uint16_t preference = 65535;
    for (const IpAddress& address : choose_host_addresses(options_, read_machine_())) {
        Candidate candidate;
        // RFC 8445 5.1.1.3: candidates of different bases have different foundations.
        candidate.foundation = std::to_string(candidates_.size() + 1);
        candidate.priority = candidate_priority(CandidateType::kHost, preference--);
        candidate.address = {address, port_};
        candidates_.push_back(std::move(candidate));
    }
    return candidates_;
}

}  // namespace kollator::rtc
