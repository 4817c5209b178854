#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "loop/event_loop.h"

namespace kollator::peer {

struct HttpRequest {
    std::string method = "GET";
    std::string url;           ///< http or https
    std::string content_type;  ///< of the body; empty: none
    std::string body;
    std::chrono::milliseconds timeout = std::chrono::seconds(10);
};

struct HttpReply {
    long status = 0;
    std::string body;  ///< at most kMaxHttpReplyBytes
    std::string location;
};

inline constexpr std::size_t kMaxHttpReplyBytes = 256 * 1024;

/// The few HTTP requests that lead to a worker: POST /bootstrap, POST /rtc. Loop thread only; the
/// transfers run on two threads of its own. No proxy of the environment, no redirects.
class HttpClient {
 public:
    using Done = std::function<void(Result<HttpReply>)>;

    /// `ca_file`: PEM, for https in place of the system's authorities; may be empty.
    HttpClient(EventLoop& loop, std::string ca_file);
    /// Cuts what is under way; nothing calls back any more.
    ~HttpClient();
    HttpClient(const HttpClient&) = delete;
    HttpClient& operator=(const HttpClient&) = delete;

    /// `done` runs once. kUnavailable: nobody answers there; kTimeout; kLimit: too many requests
    /// wait, or too long an answer; kInvalid: no http or https URL.
    void send(HttpRequest request, Done done);

 private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// "http://host:8081/" and "/rtc" -> "http://host:8081/rtc".
std::string join_url(const std::string& base, const std::string& path);

}  // namespace kollator::peer
