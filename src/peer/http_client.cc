#include "peer/http_client.h"

#include <curl/curl.h>

#include <atomic>
#include <string_view>
#include <utility>

#include "loop/job_pool.h"

namespace kollator::peer {
namespace {

constexpr std::size_t kThreads = 2;
constexpr std::size_t kMaxWaiting = 256;

struct Transfer {
    HttpRequest request;
    std::string ca_file;
    std::shared_ptr<std::atomic<bool>> cut;
};

std::size_t append(char* data, std::size_t, std::size_t size, void* to) {
    auto& body = *static_cast<std::string*>(to);
    if (body.size() + size > kMaxHttpReplyBytes) return 0;  // ends the transfer
    body.append(data, size);
    return size;
}

std::size_t take_header(char* data, std::size_t, std::size_t size, void* to) {
    std::string_view line(data, size);
    constexpr std::string_view kName = "location:";
    if (line.size() > kName.size() && curl_strnequal(data, kName.data(), kName.size()) != 0) {
        line.remove_prefix(kName.size());
        const auto begin = line.find_first_not_of(" \t");
        const auto end = line.find_last_not_of(" \t\r\n");
        if (begin != std::string_view::npos) {
            static_cast<std::string*>(to)->assign(line.substr(begin, end - begin + 1));
        }
    }
    return size;
}

/// Not zero ends the transfer.
int is_cut(void* cut, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return static_cast<std::atomic<bool>*>(cut)->load() ? 1 : 0;
}

Error error_of(CURLcode code, const std::string& url) {
    const std::string why = url + ": " + curl_easy_strerror(code);
    switch (code) {
        case CURLE_OPERATION_TIMEDOUT:
            return make_error(ErrorCode::kTimeout, why);
        case CURLE_WRITE_ERROR:
            return make_error(ErrorCode::kLimit, url + ": too long an answer");
        case CURLE_URL_MALFORMAT:
        case CURLE_UNSUPPORTED_PROTOCOL:
            return make_error(ErrorCode::kInvalid, why);
        default:
            return make_error(ErrorCode::kUnavailable, why);
    }
}

Result<HttpReply> perform(const Transfer& transfer) {
    const HttpRequest& request = transfer.request;
    const std::unique_ptr<CURL, void (*)(CURL*)> owner(curl_easy_init(), curl_easy_cleanup);
    CURL* easy = owner.get();
    if (easy == nullptr) return make_error(ErrorCode::kInternal, "libcurl cannot be used");
    HttpReply reply;
    curl_slist* list = curl_slist_append(nullptr, "Expect:");
    if (!request.content_type.empty()) {
        list = curl_slist_append(list, ("Content-Type: " + request.content_type).c_str());
    }
    const std::unique_ptr<curl_slist, void (*)(curl_slist*)> headers(list, curl_slist_free_all);
    curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers.get());
    if (request.method == "POST" || !request.body.empty()) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                         static_cast<curl_off_t>(request.body.size()));
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.c_str());
    }
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout.count()));
    if (!transfer.ca_file.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, transfer.ca_file.c_str());
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &reply.body);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, &reply.location);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, is_cut);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, transfer.cut.get());
    const CURLcode code = curl_easy_perform(easy);
    if (code != CURLE_OK) return error_of(code, request.url);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &reply.status);
    return reply;
}

}  // namespace

struct HttpClient::Impl {
    Impl(EventLoop& the_loop, std::string the_ca_file)
        : loop(the_loop), ca_file(std::move(the_ca_file)) {}
    EventLoop& loop;
    const std::string ca_file;
    const std::shared_ptr<std::atomic<bool>> cut = std::make_shared<std::atomic<bool>>(false);
    JobPool pool{kThreads};
};

HttpClient::HttpClient(EventLoop& loop, std::string ca_file)
    : impl_(std::make_unique<Impl>(loop, std::move(ca_file))) {}

HttpClient::~HttpClient() {
    impl_->cut->store(true);
}

void HttpClient::send(HttpRequest request, Done done) {
    const auto cut = impl_->cut;
    if (impl_->pool.queued() >= kMaxWaiting) {
        impl_->loop.post([cut, done = std::move(done)] {
            if (!cut->load()) done(make_error(ErrorCode::kLimit, "too many HTTP requests wait"));
        });
        return;
    }
    impl_->pool.run(
        impl_->loop,
        [transfer = Transfer{std::move(request), impl_->ca_file, cut}] {
            return perform(transfer);
        },
        [cut, done = std::move(done)](Result<HttpReply> reply) {
            if (!cut->load()) done(std::move(reply));
        });
}

std::string join_url(const std::string& base, const std::string& path) {
    std::string url = base;
    while (url.ends_with('/')) url.pop_back();
    return url + path;
}

}  // namespace kollator::peer
