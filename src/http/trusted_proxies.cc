#include "http/trusted_proxies.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <optional>

namespace kollator::http {
namespace {

namespace ip = boost::asio::ip;
using boost::system::error_code;

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kBlank = " \t";
    const auto begin = text.find_first_not_of(kBlank);
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

/// IPv4 addresses are one, whichever socket saw them.
ip::address unmapped(const ip::address& address) {
    if (!address.is_v6() || !address.to_v6().is_v4_mapped()) return address;
    return ip::make_address_v4(ip::v4_mapped, address.to_v6());
}

std::optional<ip::address> parse_address(std::string_view text) {
    error_code error;
    const ip::address address = ip::make_address(std::string(text), error);
    if (error) return std::nullopt;
    return unmapped(address);
}

/// An entry of X-Forwarded-For: some proxies write "192.0.2.1:5000" or "[2001:db8::1]:5000".
std::optional<ip::address> parse_entry(std::string_view text) {
    if (text.starts_with('[')) return parse_address(text.substr(1, text.find(']') - 1));
    if (std::count(text.begin(), text.end(), ':') == 1) text = text.substr(0, text.find(':'));
    return parse_address(text);
}

template <typename Network, typename Address>
bool within(const std::vector<Network>& networks, const Address& address) {
    return std::any_of(networks.begin(), networks.end(), [&address](const Network& each) {
        return Network(address, each.prefix_length()).canonical() == each;
    });
}

}  // namespace

Result<TrustedProxies> TrustedProxies::parse(const std::vector<std::string>& entries) {
    TrustedProxies proxies;
    for (const std::string& entry : entries) {
        const bool whole = entry.find('/') == std::string::npos;
        error_code error;
        const bool v6 = entry.find(':') != std::string::npos;
        if (v6) {
            const auto network = ip::make_network_v6(whole ? entry + "/128" : entry, error);
            if (!error) proxies.v6_.push_back(network.canonical());
        } else {
            const auto network = ip::make_network_v4(whole ? entry + "/32" : entry, error);
            if (!error) proxies.v4_.push_back(network.canonical());
        }
        if (error) {
            return make_error(ErrorCode::kInvalid,
                              fmt::format("a proxy to be trusted, {}, is neither a numeric address "
                                          "nor a network (10.0.0.0/8)",
                                          entry));
        }
    }
    return proxies;
}

bool TrustedProxies::contains(const ip::address& address) const {
    return address.is_v4() ? within(v4_, address.to_v4()) : within(v6_, address.to_v6());
}

std::string TrustedProxies::client_of(std::string_view remote, std::string_view forwarded) const {
    auto client = parse_address(remote);
    if (!client) return std::string(remote);
    while (contains(*client) && !forwarded.empty()) {
        const auto comma = forwarded.rfind(',');
        const bool last = comma == std::string_view::npos;
        const auto before = parse_entry(trimmed(last ? forwarded : forwarded.substr(comma + 1)));
        if (!before) break;
        client = before;
        forwarded = last ? std::string_view() : forwarded.substr(0, comma);
    }
    return client->to_string();
}

}  // namespace kollator::http
