#include "rtc/direct_gate.h"

#include <chrono>

namespace kollator::rtc {

namespace {

constexpr Duration kWindow = std::chrono::seconds(1);
// What one customer has of IPv6, at least (RFC 6177).
constexpr std::size_t kPrefixBytesV6 = 8;

}  // namespace

std::string source_key(const IpAddress& source) {
    const ByteSpan bytes = source.bytes();
    return std::string(as_text(source.is_v6() ? bytes.first(kPrefixBytesV6) : bytes));
}

bool DirectGate::admit(TimePoint now, const IpAddress& source) {
    if (window_ends_ <= now) {
        window_ends_ = now + kWindow;
        admitted_ = 0;
        by_source_.clear();
    }
    if (admitted_ >= limits_.per_second) return false;
    std::size_t& of_source = by_source_[source_key(source)];
    if (of_source >= limits_.per_source_per_second) return false;
    ++of_source;
    ++admitted_;
    return true;
}

void DirectGate::retire(std::string_view ufrag) {
    if (!retired_.emplace(ufrag).second) return;
    retired_order_.emplace_back(ufrag);
    if (retired_order_.size() <= kMaxRetired) return;
    retired_.erase(retired_order_.front());
    retired_order_.pop_front();
}

bool DirectGate::is_retired(std::string_view ufrag) const {
    return retired_.find(ufrag) != retired_.end();
}

}  // namespace kollator::rtc
