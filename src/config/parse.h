#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace kollator::config {

/// A decimal integer in [min, max], nothing before or after it.
std::optional<std::uint64_t> parse_integer(std::string_view text, std::uint64_t min,
                                           std::uint64_t max);

/// "1", "true", "yes", "on" and their opposites, in any case.
std::optional<bool> parse_bool(std::string_view text);

/// Items between commas, trimmed; empty ones left out.
std::vector<std::string> split_list(std::string_view text);

/// A numeric IPv4 or IPv6 address.
bool is_ip_address(const std::string& text);

/// A numeric address, or a network: "10.0.0.0/8", "fd00::/8".
bool is_ip_network(const std::string& text);

/// "host:port", "[v6]:port"; the port is required and in 1..65535.
bool is_host_port(std::string_view text);

/// "<scheme>://host[:port][/path]" with one of `schemes`, and no white space or user information.
bool is_url(std::string_view text, const std::vector<std::string_view>& schemes);

/// Where a front is reached: a ws, wss, http or https URL.
bool is_front_url(std::string_view url);

/// Where a fellow worker is reached: an http or https URL, or a direct address ("/ip4/…").
bool is_fellow_address(std::string_view text);

/// An id as it may stand in tokens and URLs: [A-Za-z0-9._-]{1,64}.
bool is_worker_id(std::string_view text);

/// "stun:host[:port]" or "stuns:…"; the scheme may be left out. Gives the URL with its scheme.
std::optional<std::string> parse_stun_server(std::string_view text);

/// "turn:[user:password@]host[:port][?transport=udp|tcp]" or "turns:…".
std::optional<TurnServer> parse_turn_server(std::string_view text);

}  // namespace kollator::config
