#pragma once

// Internal to http, and to the files that include Beast.

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <memory>

#include "http/server_core.h"

namespace kollator::http {

/// Answers the upgrade in `upgrade` on `socket`, then hands the connection to the route's handler.
/// `request` is the same request for the handler; its body is empty.
void start_web_socket(std::shared_ptr<ServerCore> core, Tcp::socket socket,
                      boost::beast::http::request<boost::beast::http::string_body> upgrade,
                      std::shared_ptr<const Route> route, Request request);

}  // namespace kollator::http
