#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "tests/support/child_process.h"

namespace kollator::testing {

/// The S3 server of the tests (rgw/rgw.py says what it is), for C++ tests. Ends with this object.
class RgwServer {
 public:
    struct Options {
        int max_concurrent_requests = 0;  ///< past so many: 503 SlowDown; 0 = no limit
        std::string tls_certificate;      ///< PEM files: serves HTTPS where both are given
        std::string tls_key;
    };

    /// Returns when the server answers and its bucket exists.
    static Result<RgwServer> start(const Options& options);
    static Result<RgwServer> start() { return start(Options{}); }

    const std::string& endpoint() const { return endpoint_; }  ///< such as http://127.0.0.1:12345
    const std::string& access_key() const { return access_key_; }
    const std::string& secret_key() const { return secret_key_; }
    const std::string& bucket() const { return bucket_; }
    const std::string& region() const { return region_; }

    Status kill() { return command("kill"); }      ///< connections are refused; objects are kept
    Status restart() { return command("start"); }  ///< after kill(); returns when it answers
    Status pause() { return command("stop"); }     ///< SIGSTOP: it hangs
    Status resume() { return command("cont"); }

 private:
    explicit RgwServer(ChildProcess child) : child_(std::move(child)) {}
    Status command(const std::string& word);

    ChildProcess child_;
    std::string endpoint_;
    std::string access_key_;
    std::string secret_key_;
    std::string bucket_;
    std::string region_;
};

}  // namespace kollator::testing
