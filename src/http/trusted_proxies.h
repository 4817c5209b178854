#pragma once

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kollator::http {

/// Reverse proxies whose X-Forwarded-For is believed. Each of them appends the address that it saw,
/// so what stands before the last entry of a proxy's is what the client said.
class TrustedProxies {
 public:
    /// "192.0.2.1", "10.0.0.0/8", "fd00::/8". kInvalid: one of them is neither.
    static Result<TrustedProxies> parse(const std::vector<std::string>& entries);

    bool empty() const { return v4_.empty() && v6_.empty(); }
    /// Whose the request is, of a connection from `remote`: the nearest address that is no
    /// proxy's. `forwarded`: X-Forwarded-For, its lines joined by commas. Numeric, without port.
    std::string client_of(std::string_view remote, std::string_view forwarded) const;

 private:
    bool contains(const boost::asio::ip::address& address) const;

    std::vector<boost::asio::ip::network_v4> v4_;
    std::vector<boost::asio::ip::network_v6> v6_;
};

}  // namespace kollator::http
