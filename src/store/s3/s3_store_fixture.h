#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "crypto/hash.h"
#include "loop/system_clock.h"
#include "store/s3/s3_store.h"
#include "store/s3/scripted_server.h"

namespace kollator::store {

using s3::ScriptedServer;
using std::chrono::milliseconds;
using std::chrono::seconds;

inline constexpr auto kDeadline = seconds(60);

inline std::string http(int status, const std::string& body, const std::string& headers = "") {
    return "HTTP/1.1 " + std::to_string(status) +
           " X\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + headers + "\r\n" +
           body;
}
/// To a PUT.
inline std::string stored() {
    return http(200, "", "ETag: \"0\"\r\n");
}
inline std::string error(int status, const std::string& code, const std::string& message = "") {
    return http(status,
                "<Error><Code>" + code + "</Code><Message>" + message + "</Message></Error>");
}

/// The machine's clock, ahead of it by `ahead` since the test wants to wait, with a wall that is
/// wrong by `wrong_by`.
class WrongClock final : public Clock {
 public:
    TimePoint now() const override { return system_clock().now() + ahead; }
    WallTime wall_now() const override { return system_clock().wall_now() + wrong_by + ahead; }
    seconds wrong_by{0};
    milliseconds ahead{0};
};

class S3StoreTest : public testing::Test {
 protected:
    S3StoreTest() {
        options_.endpoint = server_.url();
        options_.bucket = "bucket";
        options_.access_key = "ACCESSKEY";
        options_.secret_key = "SECRETKEY";
        options_.session_token = "SESSIONTOKEN";
        options_.max_attempts = 3;
        options_.backoff_base = milliseconds(1);
        options_.backoff_cap = milliseconds(5);
        reopen();
    }
    void reopen() {
        store_.reset();
        auto made = make_s3_store(loop_, clock_, random_, options_);
        ASSERT_TRUE(made.ok()) << made.error().detail;
        store_ = std::move(*made);
    }
    template <typename T>
    Result<T> wait(std::optional<Result<T>>& answer) {
        EXPECT_TRUE(loop_.run_until([&] { return answer.has_value(); }, kDeadline));
        return std::move(*answer);
    }
    Result<SharedBuffer> get(GetOptions options = {}) {
        std::optional<Result<SharedBuffer>> answer;
        const auto handle =
            store_->get(key_, options, nullptr, [&](Result<SharedBuffer> r) { answer = r; });
        EXPECT_FALSE(answer.has_value());
        return wait(answer);
    }
    Result<PutOutcome> put() {
        std::optional<Result<PutOutcome>> answer;
        const auto handle =
            store_->put(key_, body_, key_.hash, [&](Result<PutOutcome> r) { answer = r; });
        return wait(answer);
    }
    Result<std::uint64_t> stat() {
        std::optional<Result<std::uint64_t>> answer;
        const auto handle = store_->stat(key_, [&](Result<std::uint64_t> r) { answer = r; });
        return wait(answer);
    }
    Result<ListPage> list(std::size_t limit) {
        std::optional<Result<ListPage>> answer;
        const auto handle =
            store_->list(ObjectKind::kChunk, {}, limit, [&](Result<ListPage> r) { answer = r; });
        return wait(answer);
    }
    Status probe() {
        std::optional<Result<void>> answer;
        const auto handle = store_->probe([&](Status r) { answer = r; });
        return wait(answer);
    }

    ScriptedServer server_;
    EventLoop loop_;
    WrongClock clock_;
    SeededRandom random_{1};
    S3Options options_;
    std::unique_ptr<ObjectStore> store_;
    std::shared_ptr<Buffer> body_ = std::make_shared<Buffer>(100'000);
    ObjectKey key_{ChunkId(crypto::sha256(as_bytes("a name")))};
};

}  // namespace kollator::store
