#include "store/s3/http_transfers.h"

#include <curl/curl.h>

#include <atomic>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"

namespace kollator::store::s3 {
namespace {

/// libcurl's default of 16 KiB halves the rate of a GET (facts: 256 KiB is as far as it helps).
constexpr long kBufferBytes = 256L << 10;
/// Below this rate for stall_timeout a transfer counts as stalled.
constexpr long kStalledBytesPerSecond = 1024;
/// Commands and sockets wake the poll at once; this only bounds what a lost wake-up could cost.
constexpr int kPollMs = 1000;
/// Servers end connections that are idle for 20 s (AWS) or longer; a request on one that is just
/// being ended would be lost.
constexpr long kMaxIdleSeconds = 15;
constexpr const char* kConnectionEnded = "the kept connection ended without an answer";

/// An easy handle with the exchange that it works for.
struct Slot {
    CURL* easy = curl_easy_init();
    curl_slist* headers = nullptr;
    std::shared_ptr<Exchange> exchange;
    std::size_t upload_offset = 0;
    bool sent = false;      ///< the request has gone out
    bool repeated = false;  ///< and libcurl wanted to send it again
    EventLoop* loop = nullptr;
    std::atomic<std::uint64_t>* downloaded_bytes = nullptr;
    std::atomic<std::uint64_t>* sent_bytes = nullptr;
    char error[CURL_ERROR_SIZE] = {};

    Slot() { KOLLATOR_CHECK(easy != nullptr); }
    ~Slot() {
        curl_easy_cleanup(easy);
        curl_slist_free_all(headers);
    }
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;
};

// libcurl is given the slot's address, against the rule that a C library gets an integer: a slot
// owns its easy handle and ends it, so that no callback can outlive what it points to.

std::size_t on_header(char* data, std::size_t, std::size_t size_bytes, void* user) noexcept {
    static_cast<Slot*>(user)->exchange->take_header({data, size_bytes});
    return size_bytes;
}

std::size_t on_body(char* data, std::size_t, std::size_t size_bytes, void* user) noexcept {
    auto& slot = *static_cast<Slot*>(user);
    slot.downloaded_bytes->fetch_add(size_bytes, std::memory_order_relaxed);
    if (!slot.exchange->take_body(as_bytes({data, size_bytes}))) return 0;
    // Here and not after curl_multi_perform(), which may read a whole body at once.
    if (slot.exchange->progress_due()) {
        slot.loop->post([exchange = slot.exchange] { exchange->report_progress(); });
    }
    return size_bytes;
}

std::size_t on_upload(char* data, std::size_t size, std::size_t count, void* user) noexcept {
    auto& slot = *static_cast<Slot*>(user);
    const auto copied = slot.exchange->read_upload(
        slot.upload_offset, {reinterpret_cast<std::uint8_t*>(data), size * count});
    if (!copied) return CURL_READFUNC_ABORT;
    slot.upload_offset += *copied;
    slot.sent_bytes->fetch_add(*copied, std::memory_order_relaxed);
    return *copied;
}

/// libcurl sends a request again by itself where a kept connection ends without an answer. It must
/// not: what is sent again is counted, and bounded, in one place, which is not here.
int on_request(void* user, char*, char*, int, int) noexcept {
    auto& slot = *static_cast<Slot*>(user);
    slot.repeated = std::exchange(slot.sent, true);
    return slot.repeated ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

/// Called before that.
int on_seek(void* user, curl_off_t offset, int origin) noexcept {
    auto& slot = *static_cast<Slot*>(user);
    if (origin != SEEK_SET || offset < 0 ||
        static_cast<std::size_t>(offset) > slot.exchange->upload_bytes()) {
        return CURL_SEEKFUNC_FAIL;
    }
    slot.upload_offset = static_cast<std::size_t>(offset);
    return CURL_SEEKFUNC_OK;
}

Fault fault_of(CURLcode code) {
    switch (code) {
        case CURLE_OK:
            return Fault::kNone;
        case CURLE_OPERATION_TIMEDOUT:
            return Fault::kTimeout;
        case CURLE_PARTIAL_FILE:
            return Fault::kTruncated;
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_CACERT_BADFILE:
        case CURLE_SSL_CERTPROBLEM:
        case CURLE_SSL_CIPHER:
        case CURLE_SSL_ISSUER_ERROR:
        case CURLE_SSL_INVALIDCERTSTATUS:
            return Fault::kTls;
        case CURLE_URL_MALFORMAT:
        case CURLE_BAD_FUNCTION_ARGUMENT:
        case CURLE_UNKNOWN_OPTION:
        case CURLE_NOT_BUILT_IN:
            return Fault::kMisconfigured;
        default:
            return Fault::kUnreachable;
    }
}

/// Every option is one that this libcurl has: a refusal is ours, not the operator's.
template <typename Value>
void set(CURL* easy, CURLoption option, Value value) {
    KOLLATOR_CHECK(curl_easy_setopt(easy, option, value) == CURLE_OK);
}

void set_method(const Slot& slot) {
    CURL* const easy = slot.easy;
    switch (slot.exchange->method()) {
        case Method::kGet:
            set(easy, CURLOPT_HTTPGET, 1L);
            break;
        case Method::kHead:
            set(easy, CURLOPT_NOBODY, 1L);
            break;
        case Method::kPut:
            set(easy, CURLOPT_UPLOAD, 1L);
            set(easy, CURLOPT_INFILESIZE_LARGE,
                static_cast<curl_off_t>(slot.exchange->upload_bytes()));
            break;
        case Method::kDelete:
            set(easy, CURLOPT_CUSTOMREQUEST, "DELETE");
            break;
    }
}

void set_limits(CURL* easy, const HttpTransfersOptions& options, const HttpRequest& request) {
    set(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options.connect_timeout.count()));
    set(easy, CURLOPT_LOW_SPEED_LIMIT, kStalledBytesPerSecond);
    set(easy, CURLOPT_LOW_SPEED_TIME, static_cast<long>(options.stall_timeout.count()));
    set(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout.count()));
    set(easy, CURLOPT_FOLLOWLOCATION, 0L);
    set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    set(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(easy, CURLOPT_BUFFERSIZE, kBufferBytes);
    set(easy, CURLOPT_UPLOAD_BUFFERSIZE, kBufferBytes);
    set(easy, CURLOPT_NOSIGNAL, 1L);
    set(easy, CURLOPT_QUICK_EXIT, 1L);  // no wait for a resolver's thread at the end
    set(easy, CURLOPT_PATH_AS_IS, 1L);
    set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    set(easy, CURLOPT_MAXAGE_CONN, kMaxIdleSeconds);
    if (options.avoid_proxies) set(easy, CURLOPT_NOPROXY, "*");
    if (!options.ca_file.empty()) set(easy, CURLOPT_CAINFO, options.ca_file.c_str());
    if (!options.ca_path.empty()) {
        set(easy, CURLOPT_CAPATH, options.ca_path.c_str());
        // Of the two, only what the operator named counts.
        if (options.ca_file.empty()) set(easy, CURLOPT_CAINFO, static_cast<const char*>(nullptr));
    }
}

void set_up(Slot& slot, const HttpTransfersOptions& options) {
    const HttpRequest& request = slot.exchange->request();
    curl_easy_reset(slot.easy);  // keeps the connections, which are the multi handle's
    curl_slist_free_all(slot.headers);
    slot.headers = nullptr;
    slot.upload_offset = 0;
    slot.sent = slot.repeated = false;
    slot.error[0] = '\0';
    // Without it libcurl waits a second for a "100 Continue" that some servers never send.
    slot.headers = curl_slist_append(slot.headers, "Expect:");
    for (const std::string& header : request.headers) {
        slot.headers = curl_slist_append(slot.headers, header.c_str());
    }
    KOLLATOR_CHECK(slot.headers != nullptr);
    set(slot.easy, CURLOPT_PRIVATE, static_cast<void*>(&slot));
    set(slot.easy, CURLOPT_ERRORBUFFER, slot.error);
    set(slot.easy, CURLOPT_URL, request.url.c_str());
    set(slot.easy, CURLOPT_HTTPHEADER, slot.headers);
    set(slot.easy, CURLOPT_HEADERFUNCTION, &on_header);
    set(slot.easy, CURLOPT_HEADERDATA, static_cast<void*>(&slot));
    set(slot.easy, CURLOPT_WRITEFUNCTION, &on_body);
    set(slot.easy, CURLOPT_WRITEDATA, static_cast<void*>(&slot));
    set(slot.easy, CURLOPT_READFUNCTION, &on_upload);
    set(slot.easy, CURLOPT_READDATA, static_cast<void*>(&slot));
    set(slot.easy, CURLOPT_PREREQFUNCTION, &on_request);
    set(slot.easy, CURLOPT_PREREQDATA, static_cast<void*>(&slot));
    set(slot.easy, CURLOPT_SEEKFUNCTION, &on_seek);
    set(slot.easy, CURLOPT_SEEKDATA, static_cast<void*>(&slot));
    set_method(slot);
    set_limits(slot.easy, options, request);
}

std::optional<WallTime> parse_date(const std::string& date) {
    if (date.empty()) return std::nullopt;
    const time_t seconds = curl_getdate(date.c_str(), nullptr);
    if (seconds < 0) return std::nullopt;
    return std::chrono::system_clock::from_time_t(seconds);
}

void initialize_curl() {
    static const CURLcode result = curl_global_init(CURL_GLOBAL_DEFAULT);
    KOLLATOR_CHECK(result == CURLE_OK);
}

}  // namespace

struct HttpTransfers::Impl {
    struct Command {
        enum class Kind { kStart, kCancel } kind;
        std::shared_ptr<Exchange> exchange;
    };

    Impl(EventLoop& event_loop, HttpTransfersOptions the_options)
        : loop(event_loop), options(std::move(the_options)) {
        initialize_curl();
        multi = curl_multi_init();
        KOLLATOR_CHECK(multi != nullptr);
        curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, static_cast<long>(options.max_transfers));
        curl_multi_setopt(multi, CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_NOTHING));
        thread = std::thread([this] { run(); });
    }

    ~Impl() {
        stopping = true;
        curl_multi_wakeup(multi);
        thread.join();
        for (const auto& slot : busy) curl_multi_remove_handle(multi, slot->easy);
        busy.clear();
        idle.clear();
        curl_multi_cleanup(multi);
    }

    void send(Command command) {
        {
            const std::lock_guard lock(mutex);
            commands.push_back(std::move(command));
        }
        curl_multi_wakeup(multi);
    }

    // The transfers' thread from here on.

    void run() {
        while (!stopping) {
            obey();
            int running = 0;
            KOLLATOR_CHECK(curl_multi_perform(multi, &running) == CURLM_OK);
            collect();
            KOLLATOR_CHECK(curl_multi_poll(multi, nullptr, 0, kPollMs, nullptr) == CURLM_OK);
        }
    }

    void obey() {
        std::vector<Command> due;
        {
            const std::lock_guard lock(mutex);
            due.swap(commands);
        }
        for (Command& command : due) {
            if (command.kind == Command::Kind::kStart) {
                begin(std::move(command.exchange));
            } else {
                release(command.exchange.get());
            }
        }
    }

    void begin(std::shared_ptr<Exchange> exchange) {
        if (idle.empty()) idle.push_back(std::make_unique<Slot>());
        auto slot = std::move(idle.back());
        idle.pop_back();
        slot->exchange = std::move(exchange);
        slot->loop = &loop;
        slot->downloaded_bytes = &downloaded_bytes;
        slot->sent_bytes = &sent_bytes;
        set_up(*slot, options);
        KOLLATOR_CHECK(curl_multi_add_handle(multi, slot->easy) == CURLM_OK);
        busy.push_back(std::move(slot));
    }

    /// Takes the handle out of libcurl and keeps it for the next; one cut off in the middle loses
    /// its connection. Nothing where it has ended meanwhile.
    void release(const Exchange* exchange) {
        for (auto& slot : busy) {
            if (slot->exchange.get() != exchange) continue;
            curl_multi_remove_handle(multi, slot->easy);
            slot->exchange.reset();
            idle.push_back(std::move(slot));
            std::swap(slot, busy.back());
            busy.pop_back();
            return;
        }
    }

    void collect() {
        int left = 0;
        while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
            if (message->msg != CURLMSG_DONE) continue;
            const CURLcode code = message->data.result;
            void* user = nullptr;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &user);
            const Slot& slot = *static_cast<Slot*>(user);
            const auto exchange = slot.exchange;
            const char* const detail = slot.repeated           ? kConnectionEnded
                                       : slot.error[0] != '\0' ? slot.error
                                                               : curl_easy_strerror(code);
            exchange->finish(fault_of(code), detail, parse_date(exchange->date()));
            release(exchange.get());
            loop.post([exchange] { exchange->complete(); });
        }
    }

    EventLoop& loop;
    const HttpTransfersOptions options;
    CURLM* multi = nullptr;
    std::atomic<bool> stopping{false};
    std::atomic<std::uint64_t> downloaded_bytes{0};
    std::atomic<std::uint64_t> sent_bytes{0};

    std::mutex mutex;
    std::vector<Command> commands;  // GUARDED_BY(mutex)

    // The transfers' thread only.
    std::vector<std::unique_ptr<Slot>> busy;
    std::vector<std::unique_ptr<Slot>> idle;

    std::size_t handles = 0;  // the loop's thread only
    std::thread thread;
};

HttpTransfers::Handle::~Handle() {
    --transfers_.impl_->handles;
    const bool under_way = !exchange_->completed();
    exchange_->cancel();
    if (under_way) transfers_.impl_->send({Impl::Command::Kind::kCancel, exchange_});
}

HttpTransfers::HttpTransfers(EventLoop& loop, HttpTransfersOptions options)
    : impl_(std::make_unique<Impl>(loop, std::move(options))) {}

HttpTransfers::~HttpTransfers() {
    KOLLATOR_CHECK(impl_->handles == 0);
}

std::unique_ptr<HttpTransfers::Handle> HttpTransfers::start(HttpRequest request,
                                                            Exchange::OnProgress on_progress,
                                                            Exchange::OnDone on_done) {
    KOLLATOR_CHECK(impl_->loop.in_loop_thread());
    KOLLATOR_CHECK(impl_->handles < impl_->options.max_transfers);
    ++impl_->handles;
    auto exchange =
        std::make_shared<Exchange>(std::move(request), std::move(on_progress), std::move(on_done));
    std::unique_ptr<Handle> handle(new Handle(*this, exchange));
    impl_->send({Impl::Command::Kind::kStart, std::move(exchange)});
    return handle;
}

std::uint64_t HttpTransfers::downloaded_bytes() const {
    return impl_->downloaded_bytes.load();
}

std::uint64_t HttpTransfers::sent_bytes() const {
    return impl_->sent_bytes.load();
}

}  // namespace kollator::store::s3
