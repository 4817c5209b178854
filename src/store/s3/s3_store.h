#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "base/file_system.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/result.h"
#include "base/time.h"
#include "loop/event_loop.h"
#include "loop/job_pool.h"
#include "store/object_store.h"

namespace kollator::store {

enum class S3AddressStyle : std::uint8_t {
    kPath,         ///< https://host/bucket/key
    kVirtualHost,  ///< https://bucket.host/key
};

struct S3Options {
    /// "https://s3.eu-central-1.wasabisys.com": scheme, host, optionally a port, nothing else.
    std::string endpoint;
    std::string region = "us-east-1";
    std::string bucket;
    std::string access_key;
    std::string secret_key;
    std::string session_token;  ///< may be empty
    /// In place of those; read at the start, and again every credentials_poll.
    std::filesystem::path access_key_file;
    std::filesystem::path secret_key_file;
    std::filesystem::path session_token_file;
    std::chrono::milliseconds credentials_poll{1'000};
    S3AddressStyle address_style = S3AddressStyle::kPath;
    std::string ca_file;  ///< a PEM bundle; empty: the system's
    std::string ca_path;  ///< a folder of certificates named by hash (c_rehash); may be empty

    std::size_t max_transfers = 64;  ///< requests, connections and easy handles at once, 1 to 1,024
    std::chrono::milliseconds connect_timeout{5'000};
    /// A request with almost nothing moving for so long has failed; 1 s at least.
    std::chrono::seconds stall_timeout{10};
    /// A request may take this, and the time that its bytes need at min_bytes_per_second.
    std::chrono::milliseconds request_timeout{15'000};
    std::uint64_t min_bytes_per_second = 128 << 10;

    int max_attempts = 4;  ///< the first included
    /// No attempt begins later than this after the first one.
    std::chrono::milliseconds retry_window{20'000};
    std::chrono::milliseconds backoff_base{100};
    std::chrono::milliseconds backoff_cap{5'000};
    /// In any minute, so much of what is sent may be sent again, and retry_floor in any case.
    unsigned retry_percent = 10;
    unsigned retry_floor = 10;

    /// So many requests in a row without an answer, or with a 5xx, and none with another answer for
    /// breaker_min_silence, open the circuit: requests then fail at once, but for one that finds
    /// out after breaker_min_wait, and after twice the time up to breaker_max_wait where that
    /// fails. 0: never.
    unsigned breaker_failures = 5;
    std::chrono::milliseconds breaker_min_silence{1'000};
    std::chrono::milliseconds breaker_min_wait{1'000};
    std::chrono::milliseconds breaker_max_wait{30'000};

    /// What may be received in a calendar month (UTC); 0: no budget. Past it, GETs of objects
    /// together get egress_limited_bytes_per_second.
    std::uint64_t egress_budget_bytes = 0;
    std::uint64_t egress_limited_bytes_per_second = 1'000'000;
    std::filesystem::path egress_file;  ///< where the month's count is kept; empty: not kept

    // All outlive the store. The first may be null; the others are needed where a file is named.
    MetricsRegistry* metrics = nullptr;
    JobPool* jobs = nullptr;
    FileSystem* files = nullptr;

    bool has_credential_files() const {
        return !access_key_file.empty() || !secret_key_file.empty() || !session_token_file.empty();
    }
};

/// kInvalid, with a text that names the option and what is expected. No secret is in it. Reads the
/// CA file.
Status validate(const S3Options& options);

/// An S3-compatible object store over libcurl on a thread of its own. `random` (for back-off) is
/// used on the loop's thread; `loop`, `clock` and `random` outlive the store. kInvalid as
/// validate() says; nothing is sent yet: probe() tells whether the bucket can be used. Besides the
/// errors of ObjectStore: stat() cannot tell a missing bucket from a missing object, since the
/// answer to a HEAD has no body.
Result<std::unique_ptr<ObjectStore>> make_s3_store(EventLoop& loop, const Clock& clock,
                                                   Random& random, S3Options options);

}  // namespace kollator::store
