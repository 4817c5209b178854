// What the store does about a server that is out of order: retries within a budget, the circuit,
// and not believing what only looks like an answer.

#include <algorithm>

#include "store/s3/presence_guess.h"
#include "store/s3/s3_store_fixture.h"

namespace kollator::store {
namespace {

class S3Resilience : public S3StoreTest {
 protected:
    std::uint64_t count(std::string_view operation, std::string_view result) {
        for (const RequestCount& answer : store_->stats().answers) {
            if (answer.operation == operation && answer.result == result) return answer.count;
        }
        return 0;
    }
    StoreCheck check(const std::string& name) {
        for (const StoreCheck& found : store_->checks()) {
            if (found.name == name) return found;
        }
        ADD_FAILURE() << "no check " << name;
        return {};
    }
    void without_breaker() {
        options_.breaker_failures = 0;
        reopen();
    }
};

TEST_F(S3Resilience, SendsNoMoreAgainThanItsBudgetAllows) {
    options_.retry_floor = 2;
    without_breaker();
    server_.answer([](const std::string&) { return error(500, "InternalError"); });
    std::string last;
    for (int i = 0; i < 100; ++i) last = get().error().detail;
    EXPECT_NE(last.find("retry budget"), std::string::npos) << last;
    const StoreStats stats = store_->stats();
    EXPECT_EQ(stats.retries, 10U);
    EXPECT_EQ(server_.requests().size(), 110U);
    EXPECT_GE(stats.retries_refused, 90U);
    EXPECT_EQ(count("get", "server_error"), 110U);
}

TEST_F(S3Resilience, TheBudgetComesBackWithTime) {
    options_.retry_percent = 0;
    options_.retry_floor = 1;
    without_breaker();
    server_.answer([](const std::string&) { return error(500, "InternalError"); });
    EXPECT_FALSE(get().ok());
    EXPECT_FALSE(get().ok());
    EXPECT_EQ(server_.requests().size(), 3U);
    clock_.ahead += seconds(62);
    EXPECT_FALSE(get().ok());
    EXPECT_EQ(server_.requests().size(), 5U);
}

TEST_F(S3Resilience, AGetAfterWrongBytesCountsAsARetry) {
    options_.retry_percent = 0;
    options_.retry_floor = 1;
    reopen();
    server_.answer([](const std::string&) { return http(200, "x"); });
    GetOptions again;
    again.again = true;
    EXPECT_TRUE(get(again).ok());
    EXPECT_EQ(get(again).error().code, ErrorCode::kCorrupt);
    EXPECT_TRUE(get().ok());
    EXPECT_EQ(server_.requests().size(), 2U);
    EXPECT_EQ(store_->stats().retries, 1U);
}

TEST_F(S3Resilience, NothingBelowSendsARequestAgain) {
    options_.max_attempts = 1;
    reopen();
    server_.answer([](const std::string&) { return http(200, "x", "ETag: \"0\"\r\n"); });
    ASSERT_TRUE(get().ok());
    // Ends the kept connection without a word.
    server_.answer([](const std::string&) { return ScriptedServer::kHangUp; });
    EXPECT_EQ(get().error().code, ErrorCode::kUnavailable);
    server_.answer([](const std::string&) { return stored(); });
    ASSERT_TRUE(put().ok());
    server_.answer([](const std::string&) { return ScriptedServer::kHangUp; });
    const Error error = put().error();
    EXPECT_EQ(error.code, ErrorCode::kUnavailable);
    EXPECT_NE(error.detail.find("ended without an answer"), std::string::npos) << error.detail;
    EXPECT_EQ(server_.requests().size(), 4U);
}

TEST_F(S3Resilience, FailsAtOnceWhileTheCircuitIsOpen) {
    options_.max_attempts = 1;
    options_.breaker_failures = 3;
    options_.breaker_min_wait = options_.breaker_max_wait = std::chrono::hours(1);
    reopen();
    EXPECT_FALSE(check("circuit").warn);
    server_.answer([](const std::string&) { return error(500, "InternalError"); });
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(get().ok());
    EXPECT_TRUE(check("circuit").warn);
    EXPECT_NE(check("circuit").detail.find("500 InternalError"), std::string::npos);
    const Error refused = get().error();
    EXPECT_EQ(refused.code, ErrorCode::kUnavailable);
    EXPECT_NE(refused.detail.find("3 requests in a row"), std::string::npos) << refused.detail;
    EXPECT_EQ(put().error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(server_.requests().size(), 3U);
    EXPECT_EQ(store_->stats().refused, 2U);
    EXPECT_EQ(store_->stats().breaker, BreakerState::kOpen);
}

TEST_F(S3Resilience, OneRequestFindsOutWhetherTheServerIsBack) {
    options_.max_attempts = 1;
    options_.breaker_failures = 3;
    options_.breaker_min_wait = seconds(600);
    options_.breaker_max_wait = seconds(1200);
    reopen();
    server_.answer([](const std::string&) { return error(500, "InternalError"); });
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(get().ok());
    clock_.ahead += seconds(600);
    EXPECT_FALSE(get().ok());  // the probe
    EXPECT_FALSE(get().ok());
    EXPECT_EQ(server_.requests().size(), 4U);
    clock_.ahead += seconds(600);
    EXPECT_FALSE(get().ok());
    EXPECT_EQ(server_.requests().size(), 4U);
    clock_.ahead += seconds(600);
    server_.answer([](const std::string&) { return http(200, "x"); });
    EXPECT_TRUE(get().ok());
    EXPECT_EQ(store_->stats().breaker, BreakerState::kClosed);
    EXPECT_TRUE(get().ok());
    EXPECT_EQ(server_.requests().size(), 6U);
}

TEST_F(S3Resilience, WhileOneFindsOutTheOthersFailAtOnceAndACancelledOneIsReplaced) {
    options_.max_attempts = 1;
    options_.breaker_failures = 1;
    options_.breaker_min_wait = seconds(600);
    options_.breaker_max_wait = seconds(600);
    reopen();
    server_.answer([](const std::string&) { return error(500, "InternalError"); });
    EXPECT_FALSE(get().ok());
    clock_.ahead += seconds(600);
    server_.answer([](const std::string&) { return ""; });
    auto probe = store_->get(key_, {}, nullptr, [](Result<SharedBuffer>) { FAIL(); });
    EXPECT_EQ(store_->stats().breaker, BreakerState::kHalfOpen);
    EXPECT_EQ(get().error().code, ErrorCode::kUnavailable);
    probe.reset();
    server_.answer([](const std::string&) { return http(200, "x"); });
    EXPECT_TRUE(get().ok());
}

TEST_F(S3Resilience, WhatWaitsWhenTheCircuitOpensFailsWithIt) {
    options_.max_attempts = 1;
    options_.max_transfers = 1;
    options_.breaker_failures = 1;
    options_.breaker_min_wait = options_.breaker_max_wait = std::chrono::hours(1);
    reopen();
    server_.answer([](const std::string&) { return error(502, ""); });
    std::size_t failed = 0;
    std::vector<TransferHandle> handles;
    for (int i = 0; i < 20; ++i) {
        handles.push_back(store_->get(key_, {}, nullptr, [&](Result<SharedBuffer> result) {
            failed += result.error().code == ErrorCode::kUnavailable ? 1 : 0;
        }));
    }
    EXPECT_TRUE(loop_.run_until([&] { return failed == 20; }, kDeadline));
    EXPECT_EQ(server_.requests().size(), 1U);
}

TEST_F(S3Resilience, RefusalsAndSlowDownsLeaveTheCircuitClosed) {
    options_.max_attempts = 1;
    options_.breaker_failures = 2;
    reopen();
    for (const auto& [status, code] : {std::pair(403, "AccessDenied"), std::pair(503, "SlowDown"),
                                       std::pair(404, "NoSuchKey")}) {
        server_.answer([&](const std::string&) { return error(status, code); });
        for (int i = 0; i < 3; ++i) EXPECT_FALSE(get().ok());
        EXPECT_EQ(store_->stats().breaker, BreakerState::kClosed) << code;
    }
    EXPECT_EQ(count("get", "refused"), 3U);
    EXPECT_EQ(count("get", "slow_down"), 3U);
    EXPECT_EQ(count("get", "not_found"), 3U);
}

TEST_F(S3Resilience, SendsLessAtOnceAfterASlowDown) {
    options_.max_attempts = 1;
    options_.max_transfers = 8;
    reopen();
    server_.answer([](const std::string&) { return error(503, "SlowDown"); });
    EXPECT_FALSE(get().ok());
    EXPECT_EQ(store_->stats().in_flight_limit, 4U);
    server_.answer([](const std::string&) { return ""; });
    std::vector<TransferHandle> handles;
    for (int i = 0; i < 8; ++i) {
        handles.push_back(store_->get(key_, {}, nullptr, [](Result<SharedBuffer>) { FAIL(); }));
    }
    EXPECT_EQ(store_->stats().in_flight, 4U);
}

TEST_F(S3Resilience, RemembersAServerWithoutConditionalWrites) {
    server_.answer([](const std::string& request) {
        return request.find("If-None-Match") != std::string::npos ? error(501, "NotImplemented")
                                                                  : stored();
    });
    EXPECT_EQ(put().value(), PutOutcome::kStored);
    EXPECT_EQ(server_.requests().size(), 2U);
    EXPECT_EQ(put().value(), PutOutcome::kStored);
    EXPECT_EQ(server_.requests().size(), 3U);
}

TEST_F(S3Resilience, DoubtsConditionalWritesOnlyAfterSeveralBadRequests) {
    server_.answer([](const std::string& request) {
        return request.find("If-None-Match") != std::string::npos ? error(400, "InvalidRequest")
                                                                  : stored();
    });
    for (const std::size_t expected : {2U, 4U, 6U, 7U}) {
        EXPECT_EQ(put().value(), PutOutcome::kStored);
        EXPECT_EQ(server_.requests().size(), expected);
    }
}

TEST_F(S3Resilience, NeverDoubtsConditionalWritesThatHaveWorked) {
    server_.answer([](const std::string&) { return error(412, "PreconditionFailed"); });
    EXPECT_EQ(put().value(), PutOutcome::kAlreadyThere);
    server_.answer([](const std::string&) { return error(400, "InvalidRequest"); });
    for (int i = 0; i < 5; ++i) EXPECT_EQ(put().error().code, ErrorCode::kInvalid);
    EXPECT_EQ(server_.requests().size(), 6U);
    server_.answer([](const std::string& request) {
        EXPECT_NE(request.find("If-None-Match: *"), std::string::npos);
        return stored();
    });
    EXPECT_TRUE(put().ok());
}

class S3Presence : public S3Resilience {
 protected:
    S3Presence() { body_ = std::make_shared<Buffer>(s3::PresenceGuess::kMinBodyBytes); }
    /// How many of the requests so far were of this method.
    std::size_t sent(const std::string& method) {
        const auto requests = server_.requests();
        return static_cast<std::size_t>(std::count_if(
            requests.begin(), requests.end(),
            [&](const std::string& request) { return request.starts_with(method + " "); }));
    }
    std::string there(const std::string& request) {
        if (request.starts_with("PUT")) return error(412, "PreconditionFailed");
        return "HTTP/1.1 200 X\r\nContent-Length: " + std::to_string(body_->size()) +
               "\r\nETag: \"0\"\r\n\r\n";
    }
    static std::string absent(const std::string& request) {
        return request.starts_with("PUT") ? stored()
                                          : "HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n";
    }
};

TEST_F(S3Presence, ANewChunkIsOnePutAndAMissOneGet) {
    server_.answer([](const std::string& request) {
        return request.starts_with("PUT") ? stored() : http(200, "x");
    });
    for (int i = 0; i < 40; ++i) {
        EXPECT_TRUE(put().ok());
        EXPECT_TRUE(get().ok());
    }
    EXPECT_EQ(sent("PUT"), 40U);
    EXPECT_EQ(sent("GET"), 40U);
    EXPECT_EQ(server_.requests().size(), 80U);
}

TEST_F(S3Presence, WhatIsSentAgainIsSoonAskedForInPlace) {
    server_.answer([this](const std::string& request) { return there(request); });
    for (int i = 0; i < 20; ++i) EXPECT_EQ(put().value(), PutOutcome::kAlreadyThere);
    EXPECT_LE(sent("PUT"), 3U);
    EXPECT_EQ(server_.requests().size(), 20U);
    const std::size_t asked = sent("HEAD");
    server_.answer([](const std::string& request) { return absent(request); });
    for (int i = 0; i < 20; ++i) EXPECT_EQ(put().value(), PutOutcome::kStored);
    EXPECT_LE(sent("HEAD") - asked, 3U);
}

TEST_F(S3Presence, SmallBodiesAreNeverAskedFor) {
    body_ = std::make_shared<Buffer>(s3::PresenceGuess::kMinBodyBytes - 1);
    server_.answer([this](const std::string& request) { return there(request); });
    for (int i = 0; i < 10; ++i) EXPECT_EQ(put().value(), PutOutcome::kAlreadyThere);
    EXPECT_EQ(sent("HEAD"), 0U);
}

TEST_F(S3Presence, AnObjectOfAnotherSizeIsWrittenOver) {
    server_.answer([this](const std::string& request) { return there(request); });
    while (sent("HEAD") == 0) EXPECT_TRUE(put().ok());
    server_.answer([](const std::string& request) {
        if (request.starts_with("HEAD"))
            return std::string("HTTP/1.1 200 X\r\nContent-Length: 7\r\nETag: \"0\"\r\n\r\n");
        EXPECT_EQ(request.find("If-None-Match"), std::string::npos);
        return stored();
    });
    EXPECT_EQ(put().value(), PutOutcome::kStored);
}

TEST_F(S3Presence, AServerWithoutConditionsIsSampled) {
    server_.answer([](const std::string& request) {
        return request.find("If-None-Match") != std::string::npos ? error(501, "NotImplemented")
                                                                  : absent(request);
    });
    for (int i = 0; i < 35; ++i) EXPECT_EQ(put().value(), PutOutcome::kStored);
    EXPECT_EQ(sent("HEAD"), 2U);
}

TEST_F(S3Resilience, AcknowledgesNothingThatAnImpostorAccepted) {
    server_.answer([](const std::string&) { return http(200, "<html>welcome</html>"); });
    EXPECT_EQ(put().error().code, ErrorCode::kUnavailable);
    server_.answer([](const std::string& request) {
        return request.find("If-None-Match") != std::string::npos ? http(412, "<html>no</html>")
                                                                  : stored();
    });
    EXPECT_EQ(put().value(), PutOutcome::kStored);
    EXPECT_EQ(server_.requests().size(), 5U);
    server_.answer([](const std::string&) { return http(404, "<html>nothing here</html>"); });
    EXPECT_EQ(get().error().code, ErrorCode::kUnavailable);
    server_.answer(
        [](const std::string&) { return "HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\n"; });
    EXPECT_EQ(stat().error().code, ErrorCode::kUnavailable);
}

TEST_F(S3Resilience, MetadataIsStoredOverWhatIsThere) {
    server_.answer([](const std::string& request) {
        EXPECT_EQ(request.find("If-None-Match"), std::string::npos);
        return stored();
    });
    key_ = ObjectKey(MetadataId(key_.hash));
    EXPECT_EQ(put().value(), PutOutcome::kStored);
}

TEST_F(S3Resilience, CountsBytesBothWays) {
    int answers = 0;
    server_.answer([&](const std::string& request) {
        if (request.starts_with("GET")) return http(200, "12345");
        return ++answers == 1 ? error(500, "InternalError") : stored();
    });
    EXPECT_TRUE(put().ok());
    EXPECT_TRUE(get().ok());
    const StoreStats stats = store_->stats();
    EXPECT_EQ(stats.sent_bytes, 200'000U);
    EXPECT_EQ(stats.uploaded_bytes, 100'000U);
    EXPECT_EQ(count("put", "ok"), 1U);
    EXPECT_EQ(count("put", "server_error"), 1U);
    EXPECT_EQ(count("get", "ok"), 1U);
}

class S3Egress : public S3Resilience {
 protected:
    S3Egress() {
        options_.egress_budget_bytes = 1000;
        options_.egress_limited_bytes_per_second = 20'000;
        reopen();
        server_.answer([](const std::string& request) {
            return request.starts_with("GET") ? http(200, std::string(1000, 'x')) : stored();
        });
    }
    GetOptions up_to(std::uint64_t bytes) {
        GetOptions options;
        options.max_bytes = bytes;
        return options;
    }
};

TEST_F(S3Egress, PastTheBudgetMissesGoOnMoreSlowly) {
    EXPECT_FALSE(check("egress").warn);
    EXPECT_TRUE(get(up_to(1000)).ok());
    EXPECT_TRUE(check("egress").warn);
    EXPECT_TRUE(store_->stats().egress->limited);
    const TimePoint begin = system_clock().now();
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(get(up_to(1000)).ok());
    EXPECT_GE(system_clock().now() - begin, milliseconds(150));  // 3 to 4 waits of 50 ms
    EXPECT_TRUE(put().ok());
    EXPECT_EQ(store_->stats().egress->used_bytes, 6000U);
}

TEST_F(S3Egress, WhatIsAskedForPastTheRateFailsInTheEnd) {
    options_.egress_limited_bytes_per_second = 1;
    reopen();
    EXPECT_TRUE(get(up_to(1000)).ok());
    EXPECT_TRUE(get(up_to(1000)).ok());  // takes what there is
    bool cancelled_called = false;
    auto cancelled = store_->get(key_, up_to(1000), nullptr,
                                 [&](Result<SharedBuffer>) { cancelled_called = true; });
    std::size_t failed = 0;
    std::vector<TransferHandle> handles;
    for (int i = 0; i < 256; ++i) {
        handles.push_back(store_->get(key_, up_to(1000), nullptr, [&](Result<SharedBuffer> result) {
            failed += result.error().code == ErrorCode::kUnavailable ? 1 : 0;
        }));
    }
    EXPECT_TRUE(loop_.run_until([&] { return failed == 1; }, kDeadline));  // no room to wait
    cancelled.reset();
    clock_.ahead += seconds(25);
    EXPECT_TRUE(loop_.run_until([&] { return failed == 256; }, kDeadline));
    EXPECT_FALSE(cancelled_called);
    EXPECT_EQ(server_.requests().size(), 2U);
}

}  // namespace
}  // namespace kollator::store
