#include "store/s3/s3_store.h"

#include "store/s3/s3_store_fixture.h"

namespace kollator::store {
namespace {

TEST_F(S3StoreTest, PutsUnderTheHashAndSignsIt) {
    server_.answer([](const std::string&) { return stored(); });
    EXPECT_EQ(put().value(), PutOutcome::kStored);
    const std::string request = server_.requests().at(0);
    EXPECT_EQ(request.find("PUT /bucket/chunks/" + key_.hex() + " HTTP/1.1\r\n"), 0U);
    EXPECT_NE(request.find("x-amz-content-sha256: " + key_.hex() + "\r\n"), std::string::npos);
    EXPECT_NE(request.find("If-None-Match: *\r\n"), std::string::npos);
    EXPECT_NE(request.find("x-amz-security-token: SESSIONTOKEN\r\n"), std::string::npos);
    EXPECT_NE(request.find("SignedHeaders=host;x-amz-content-sha256;x-amz-date;"
                           "x-amz-security-token, Signature="),
              std::string::npos);
    EXPECT_EQ(request.find("Expect"), std::string::npos);
    EXPECT_EQ(store_->stats().uploaded_chunks, 1U);
    EXPECT_EQ(store_->stats().uploaded_bytes, 100'000U);
    EXPECT_EQ(store_->describe(), "s3 " + server_.url() + "/bucket");
}

TEST_F(S3StoreTest, NamesTheBucketInTheHostWhereItIsTold) {
    options_.address_style = S3AddressStyle::kVirtualHost;
    const std::string port = server_.url().substr(server_.url().rfind(':'));
    options_.endpoint = "http://localhost" + port;  // and bucket.localhost, by RFC 6761
    reopen();
    server_.answer([](const std::string&) { return http(200, "x"); });
    EXPECT_TRUE(get().ok());
    const std::string request = server_.requests().at(0);
    EXPECT_EQ(request.find("GET /chunks/" + key_.hex() + " HTTP/1.1\r\n"), 0U);
    EXPECT_NE(request.find("Host: bucket.localhost" + port + "\r\n"), std::string::npos);
}

TEST_F(S3StoreTest, TriesAgainWhatMayPassAndCounts) {
    int count = 0;
    server_.answer([&](const std::string&) {
        return ++count == 1 ? error(503, "SlowDown")
               : count == 2 ? error(400, "RequestRateLimitExceeded")
                            : http(200, "yes");
    });
    EXPECT_EQ(as_text(get().value()->span()), "yes");
    const StoreStats stats = store_->stats();
    EXPECT_EQ(stats.requests, 3U);
    EXPECT_EQ(stats.retries, 2U);
    EXPECT_EQ(stats.errors, 2U);
}

TEST_F(S3StoreTest, GivesUpAfterItsAttempts) {
    server_.answer([](const std::string&) { return error(500, "InternalError"); });
    const auto result = get();
    EXPECT_EQ(result.error().code, ErrorCode::kUnavailable);
    EXPECT_NE(result.error().detail.find("500 InternalError"), std::string::npos);
    EXPECT_EQ(server_.requests().size(), 3U);
}

TEST_F(S3StoreTest, BeginsNoAttemptAfterItsWindow) {
    options_.retry_window = milliseconds(0);
    options_.backoff_base = options_.backoff_cap = milliseconds(100);
    reopen();
    server_.answer([](const std::string&) { return error(500, "InternalError"); });
    EXPECT_EQ(get().error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(server_.requests().size(), 1U);
}

TEST_F(S3StoreTest, DoesNotTryAgainWhatCannotPass) {
    server_.answer([](const std::string&) { return error(403, "SignatureDoesNotMatch"); });
    const auto result = get();
    EXPECT_EQ(result.error().code, ErrorCode::kInvalid);
    EXPECT_NE(result.error().detail.find("S3_SECRET_KEY"), std::string::npos);
    EXPECT_EQ(server_.requests().size(), 1U);
}

TEST_F(S3StoreTest, NotFoundIsNoError) {
    server_.answer([](const std::string& request) {
        return request.starts_with("HEAD") ? "HTTP/1.1 404 X\r\nContent-Length: 9\r\n\r\n"
                                           : error(404, "NoSuchKey");
    });
    EXPECT_EQ(get().error().code, ErrorCode::kNotFound);
    EXPECT_EQ(stat().error().code, ErrorCode::kNotFound);
    EXPECT_EQ(store_->stats().errors, 0U);
}

TEST_F(S3StoreTest, AFulfilledConditionIsAlreadyThere) {
    server_.answer([](const std::string&) { return error(412, "PreconditionFailed"); });
    EXPECT_EQ(put().value(), PutOutcome::kAlreadyThere);
    EXPECT_EQ(store_->stats().uploaded_chunks, 0U);
}

TEST_F(S3StoreTest, CorrectsItsClockOnceByTheServersDate) {
    clock_.wrong_by = seconds(-86'400);
    server_.answer([](const std::string& request) {
        if (request.find("x-amz-date: 20150102T0304") != std::string::npos) return http(200, "ok");
        return http(403, "<Error><Code>RequestTimeTooSkewed</Code></Error>",
                    "Date: Fri, 02 Jan 2015 03:04:05 GMT\r\n");
    });
    EXPECT_TRUE(get().ok());
    EXPECT_TRUE(get().ok());
    EXPECT_EQ(server_.requests().size(), 3U);
    server_.answer([](const std::string&) {
        return http(403, "<Error><Code>RequestTimeTooSkewed</Code></Error>",
                    "Date: Fri, 02 Jan 2015 03:04:05 GMT\r\n");
    });
    EXPECT_EQ(get().error().code, ErrorCode::kInvalid);
    EXPECT_EQ(server_.requests().size(), 5U);
}

TEST_F(S3StoreTest, AHeadLearnsTheTimeFromTheDateAlone) {
    clock_.wrong_by = seconds(86'400);
    server_.answer([](const std::string& request) {
        return request.find("x-amz-date: 20150102T0304") != std::string::npos
                   ? "HTTP/1.1 200 X\r\nContent-Length: 77\r\nETag: \"0\"\r\n\r\n"
                   : "HTTP/1.1 403 X\r\nContent-Length: 0\r\n"
                     "Date: Fri, 02 Jan 2015 03:04:05 GMT\r\n\r\n";
    });
    EXPECT_EQ(stat().value(), 77U);
}

TEST_F(S3StoreTest, ABodyThatIsAlwaysCutIsCorrupt) {
    server_.answer([](const std::string&) {
        return "HTTP/1.1 200 X\r\nContent-Length: 10\r\nConnection: close\r\n\r\nshort";
    });
    EXPECT_EQ(get().error().code, ErrorCode::kCorrupt);
    EXPECT_EQ(server_.requests().size(), 3U);
    EXPECT_EQ(store_->stats().downloaded_bytes, 15U);
}

TEST_F(S3StoreTest, RefusesABodyOverItsLimitsBeforeItComes) {
    server_.answer([](const std::string&) { return http(200, std::string(1000, 'x')); });
    GetOptions options;
    options.max_bytes = 999;
    EXPECT_EQ(get(options).error().code, ErrorCode::kLimit);
    ByteBudget budget(1500);
    options.max_bytes = 1000;
    options.budget = &budget;
    const auto first = get(options);
    EXPECT_TRUE(first.ok());
    EXPECT_EQ(get(options).error().code, ErrorCode::kLimit);
    EXPECT_EQ(server_.requests().size(), 3U);
}

TEST_F(S3StoreTest, FollowsNoRedirectAndTakesNoGarbage) {
    server_.answer([](const std::string&) {
        return http(307, "", "Location: http://127.0.0.1:1/elsewhere\r\n");
    });
    EXPECT_EQ(get().error().code, ErrorCode::kInvalid);
    EXPECT_EQ(server_.requests().size(), 1U);
    server_.answer([](const std::string&) { return "SSH-2.0\r\nConnection: close\r\n"; });
    EXPECT_EQ(get().error().code, ErrorCode::kUnavailable);
    server_.answer([](const std::string&) { return http(200, "<html>hello</html>"); });
    EXPECT_EQ(list(10).error().code, ErrorCode::kCorrupt);
    EXPECT_EQ(probe().error().code, ErrorCode::kCorrupt);
}

TEST_F(S3StoreTest, ChecksThatItGotTheRangeItAskedFor) {
    GetOptions options;
    options.offset = 2;
    options.length = 3;
    server_.answer([](const std::string& request) {
        EXPECT_NE(request.find("Range: bytes=2-4\r\n"), std::string::npos);
        return http(206, "cde", "Content-Range: bytes 2-4/10\r\n");
    });
    EXPECT_EQ(as_text(get(options).value()->span()), "cde");
    server_.answer([](const std::string&) { return http(200, "abcdefghij"); });
    EXPECT_EQ(get(options).error().code, ErrorCode::kInvalid);
    server_.answer(
        [](const std::string&) { return http(206, "bcd", "Content-Range: bytes 1-3/10\r\n"); });
    EXPECT_EQ(get(options).error().code, ErrorCode::kCorrupt);
    server_.answer([](const std::string&) { return error(416, "InvalidRange"); });
    EXPECT_EQ(get(options).error().code, ErrorCode::kInvalid);
}

std::string entry(const std::string& key) {
    return "<Contents><Key>" + key + "</Key><Size>5</Size></Contents>";
}

TEST_F(S3StoreTest, ListsBehindForeignNames) {
    const std::string ours = "chunks/" + std::string(64, 'b');
    server_.answer([&](const std::string& request) {
        const bool later =
            request.find("start-after=chunks%2Faaaa%26foreign&") == std::string::npos &&
            request.find("start-after=chunks%2Faaaa%26foreign ") == std::string::npos;
        return http(200, "<ListBucketResult><IsTruncated>true</IsTruncated>" +
                             entry(later ? "chunks/aaaa&amp;foreign" : ours) +
                             "</ListBucketResult>");
    });
    const auto page = list(1);
    ASSERT_TRUE(page.ok()) << page.error().detail;
    ASSERT_EQ(page->entries.size(), 1U);
    EXPECT_EQ(to_hex(page->entries[0].hash), std::string(64, 'b'));
    EXPECT_TRUE(page->more);
    EXPECT_EQ(server_.requests().size(), 2U);
}

TEST_F(S3StoreTest, AServerThatListsInACircleIsRefused) {
    server_.answer([&](const std::string&) {
        return http(200, "<ListBucketResult><IsTruncated>true</IsTruncated>" +
                             entry("chunks/foreign") + "</ListBucketResult>");
    });
    EXPECT_EQ(list(1).error().code, ErrorCode::kInvalid);
    EXPECT_EQ(server_.requests().size(), 2U);
}

TEST_F(S3StoreTest, RepeatsNoSecretThatTheServerSends) {
    for (const char* secret : {"ACCESSKEY", "SECRETKEY", "SESSIONTOKEN"}) {
        server_.answer([&](const std::string&) {
            return error(403, "AccessDenied", "you sent " + std::string(secret));
        });
        EXPECT_EQ(get().error().detail.find(secret), std::string::npos);
    }
}

TEST_F(S3StoreTest, ADeadEndpointIsUnavailable) {
    server_.stop();
    EXPECT_EQ(get().error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(probe().error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(store_->stats().requests, options_.breaker_failures);
}

TEST_F(S3StoreTest, ASilentServerTimesOut) {
    options_.stall_timeout = seconds(1);
    options_.max_attempts = 1;
    reopen();
    server_.answer([](const std::string&) { return ""; });
    EXPECT_EQ(get().error().code, ErrorCode::kTimeout);
}

TEST_F(S3StoreTest, ADestroyedHandleGivesItsMemoryBackAndNeverCallsBack) {
    server_.answer([](const std::string&) {
        return "HTTP/1.1 200 X\r\nContent-Length: 1000\r\n\r\nthe beginning";
    });
    ByteBudget budget(5000);
    GetOptions options;
    options.budget = &budget;
    bool progressed = false;
    auto handle = store_->get(
        key_, options,
        [&](const SharedBuffer& buffer, std::size_t available, std::uint64_t size) {
            progressed = true;
            EXPECT_EQ(as_text(buffer->span().first(available)), "the beginning");
            EXPECT_EQ(size, 1000U);
        },
        [](Result<SharedBuffer>) { FAIL(); });
    ASSERT_TRUE(loop_.run_until([&] { return progressed; }, kDeadline));
    EXPECT_EQ(budget.used_bytes(), 1000U);
    handle.reset();
    EXPECT_EQ(budget.used_bytes(), 0U);
    server_.answer([](const std::string&) { return http(200, "next"); });
    EXPECT_TRUE(get().ok());
}

TEST_F(S3StoreTest, MayBeDestroyedWithRequestsUnderWay) {
    server_.answer([](const std::string&) { return ""; });
    std::vector<TransferHandle> handles;
    for (int i = 0; i < 100; ++i) {
        handles.push_back(store_->get(key_, {}, nullptr, [](Result<SharedBuffer>) { FAIL(); }));
        handles.push_back(store_->put(key_, body_, key_.hash, [](Result<PutOutcome>) { FAIL(); }));
    }
    // The server's thread does not wake the loop, so it is asked now and then.
    for (int i = 0; i < 10'000 && server_.requests().size() < options_.max_transfers; ++i) {
        loop_.run_until([] { return false; }, milliseconds(5));
    }
    ASSERT_EQ(server_.requests().size(), options_.max_transfers);
    store_.reset();
    EXPECT_EQ(body_.use_count(), 1);
    handles.clear();
}

TEST_F(S3StoreTest, MayBeDestroyedByACallback) {
    server_.answer([](const std::string&) { return http(200, "x"); });
    bool done = false;
    const auto handle = store_->get(key_, {}, nullptr, [&](Result<SharedBuffer>) {
        store_.reset();
        done = true;
    });
    EXPECT_TRUE(loop_.run_until([&] { return done; }, kDeadline));
}

TEST_F(S3StoreTest, SendsNoMoreAtOnceThanAllowedAndKeepsItsConnections) {
    options_.max_transfers = 2;
    reopen();
    server_.answer([](const std::string&) { return http(200, "x"); });
    std::size_t done = 0;
    std::vector<TransferHandle> handles;
    for (int i = 0; i < 50; ++i) {
        handles.push_back(store_->get(key_, {}, nullptr, [&](Result<SharedBuffer> result) {
            EXPECT_TRUE(result.ok());
            ++done;
        }));
    }
    EXPECT_TRUE(loop_.run_until([&] { return done == 50; }, kDeadline));
    EXPECT_LE(server_.connections(), 2);
    EXPECT_EQ(server_.requests().size(), 50U);
}

TEST_F(S3StoreTest, RefusesMoreThanItsQueueHolds) {
    options_.max_transfers = 1;
    reopen();
    server_.answer([](const std::string&) { return ""; });
    const auto large = std::make_shared<Buffer>(64 << 20);
    std::size_t refused = 0;
    std::vector<TransferHandle> handles;
    for (int i = 0; i < 6; ++i) {
        handles.push_back(store_->put(key_, large, key_.hash, [&](Result<PutOutcome> result) {
            EXPECT_EQ(result.error().code, ErrorCode::kLimit);
            ++refused;
        }));
    }
    EXPECT_EQ(refused, 0U);
    EXPECT_TRUE(loop_.run_until([&] { return refused == 1; }, kDeadline));
    handles.clear();
    server_.answer([](const std::string&) { return http(200, "x"); });
    EXPECT_TRUE(get().ok());
}

TEST_F(S3StoreTest, ShowsItsCountsAsMetrics) {
    MetricsRegistry registry;
    options_.metrics = &registry;
    reopen();
    server_.answer([](const std::string&) { return http(200, "12345"); });
    EXPECT_TRUE(get().ok());
    const std::string text = registry.to_text();
    EXPECT_NE(text.find("kollator_store_requests_total{operation=\"get\",result=\"ok\"} 1"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find("kollator_store_downloaded_bytes_total 5"), std::string::npos) << text;
    store_.reset();
}

TEST(S3Store, CannotBeMadeFromWrongOptions) {
    EventLoop loop;
    SeededRandom random(1);
    EXPECT_EQ(make_s3_store(loop, system_clock(), random, {}).error().code, ErrorCode::kInvalid);
}

}  // namespace
}  // namespace kollator::store
