#include "http/pending_offers.h"

#include <boost/asio/ip/address.hpp>
#include <string>
#include <unordered_map>

#include "base/ids.h"

namespace kollator::http {
namespace {

namespace ip = boost::asio::ip;

// What one customer has of IPv6, at least (RFC 6177).
constexpr std::size_t kPrefixBytesV6 = 8;

std::string key_of(std::string_view address) {
    boost::system::error_code error;
    const ip::address parsed = ip::make_address(std::string(address), error);
    if (error || !parsed.is_v6()) return std::string(address);
    const auto bytes = parsed.to_v6().to_bytes();
    return {reinterpret_cast<const char*>(bytes.data()), kPrefixBytesV6};
}

}  // namespace

/// Never more entries than there are connections.
struct PendingOffers::Counts {
    std::unordered_map<std::string, std::size_t, KeyedHash, std::equal_to<>> by_address;
};

PendingOffers::PendingOffers(std::size_t most_per_address)
    : most_per_address_(most_per_address), counts_(std::make_shared<Counts>()) {}

std::shared_ptr<void> PendingOffers::begin(std::string_view address) {
    const std::string key = key_of(address);
    std::size_t& pending = counts_->by_address[key];
    if (pending >= most_per_address_) return nullptr;
    ++pending;
    // Not null, which would be no place; nobody looks at what it points to.
    return {counts_.get(), [counts = counts_, key](void*) {
                const auto found = counts->by_address.find(key);
                if (--found->second == 0) counts->by_address.erase(found);
            }};
}

}  // namespace kollator::http
