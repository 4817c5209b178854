#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>

namespace kollator::testing {

/// What a store, or something between, does wrong with one request.
enum class StoreFault : std::uint8_t {
    kNone,
    kReset,              ///< the connection is reset before the request was read
    kResetInUpload,      ///< after half of the request's body
    kResetBeforeAnswer,  ///< the store did what it was asked, and nobody hears of it
    kResetInAnswer,      ///< after half of the answer
    kTruncate,           ///< half of the answer, then an orderly end
    kDelay,              ///< the answer is late
    kStall,              ///< no answer ever
    kStallInAnswer,      ///< half of it, then nothing
    kDrip,               ///< an answer of some bytes a second
    kFlipByte,           ///< one byte of the body is another: of a GET's answer, of a PUT's request
    kLengthTooLong,      ///< Content-Length promises more than comes
    kLengthTooShort,
    kChunkedGarbage,  ///< Transfer-Encoding: chunked, and no chunks
    kEmpty200,        ///< a success that nobody has had
    kHtml200,
    kRedirect307,
    kInternalError500,
    kGarbageXml500,
    kBadGateway502,  ///< with a proxy's page
    kGatewayTimeout504,
    kTooSkewed403,  ///< with the right Date
    kTooSkewedWrongDate403,
    kAccessDenied403,
    kNoSuchBucket404,
    kHtml404,
    kHtml412,
    kNoHttp,  ///< bytes of another protocol
    // What asks for fewer requests at once:
    kSlowDown503,
    kBare503,
    kEarly503,  ///< before the request's body was read
    kTooMany429,
    kRateLimit400,  ///< Wasabi's
};
inline constexpr auto kFirstFault = StoreFault::kReset;
inline constexpr auto kFirstSlowDown = StoreFault::kSlowDown503;
inline constexpr auto kLastFault = StoreFault::kRateLimit400;

/// Its enumerator's name without the k.
std::string_view name_of(StoreFault fault);

/// Stands between a worker and its store, and does to each request what the test says. HTTP/1.1
/// over plain TCP on loopback, whole messages in memory, a thread for each connection. All methods
/// are thread-safe.
class FaultProxy {
 public:
    /// Asked for each request, by threads of the proxy's. `path` is as sent, with its query.
    using Plan = std::function<StoreFault(const std::string& method, const std::string& path)>;

    /// `upstream`: "http://127.0.0.1:<port>".
    explicit FaultProxy(const std::string& upstream);
    ~FaultProxy();
    FaultProxy(const FaultProxy&) = delete;
    FaultProxy& operator=(const FaultProxy&) = delete;

    std::string endpoint() const;
    void set_plan(Plan plan);

    /// Refuses connections and resets those there are, until up().
    void down();
    void up();

    /// Whose head came in whole.
    std::uint64_t requests() const { return requests_; }

 private:
    class Conversation;

    void listen();
    void accept_all(int listener);
    StoreFault fault_for(const std::string& method, const std::string& path);

    const int upstream_port_;
    int port_ = 0;
    int listener_ = -1;
    std::thread acceptor_;
    std::atomic<std::uint64_t> requests_{0};

    std::mutex mutex_;
    std::condition_variable ended_;
    // GUARDED_BY(mutex_)
    Plan plan_;
    bool down_ = false;
    std::set<int> sockets_;  ///< of clients
    std::size_t threads_ = 0;
};

}  // namespace kollator::testing
