#include "store/s3/exchange.h"

#include <gtest/gtest.h>

namespace kollator::store::s3 {
namespace {

HttpRequest keeping(std::uint64_t max_body_bytes, ByteBudget* budget = nullptr) {
    HttpRequest request;
    request.keep_body = true;
    request.max_body_bytes = max_body_bytes;
    request.max_text_bytes = 10;
    request.budget = budget;
    return request;
}

/// Runs one answer through an exchange.
HttpResponse answer(HttpRequest request, const std::vector<std::string>& headers,
                    const std::vector<std::string>& body, Fault fault = Fault::kNone) {
    std::optional<HttpResponse> got;
    Exchange exchange(std::move(request), nullptr,
                      [&](HttpResponse response) { got = std::move(response); });
    for (const auto& header : headers) exchange.take_header(header + "\r\n");
    for (const auto& piece : body) {
        if (exchange.take_body(as_bytes(piece))) continue;
        fault = Fault::kUnreachable;  // libcurl's "write error"
        break;
    }
    exchange.finish(fault, "detail", std::nullopt);
    exchange.complete();
    return std::move(*got);
}

TEST(Exchange, PutsTheBodyIntoABufferOfItsLength) {
    const auto response = answer(keeping(100),
                                 {"HTTP/1.1 100 Continue", "", "HTTP/1.1 206 Partial Content",
                                  "CONTENT-LENGTH:  5 ", "Content-Range: bytes 2-6/10"},
                                 {"he", "llo"});
    EXPECT_EQ(response.fault, Fault::kNone);
    EXPECT_EQ(response.status, 206);
    EXPECT_EQ(as_text(response.body->span()), "hello");
    EXPECT_EQ(response.content_range->total, 10U);
}

TEST(Exchange, AnEmptyBodyIsABufferToo) {
    const auto response = answer(keeping(100), {"HTTP/1.1 200 OK", "Content-Length: 0"}, {});
    EXPECT_EQ(response.fault, Fault::kNone);
    EXPECT_EQ(response.body->size(), 0U);
}

TEST(Exchange, RefusesBeforeItAllocates) {
    EXPECT_EQ(answer(keeping(4), {"HTTP/1.1 200 OK", "Content-Length: 5"}, {"hello"}).fault,
              Fault::kTooLarge);
    ByteBudget budget(4);
    EXPECT_EQ(
        answer(keeping(9, &budget), {"HTTP/1.1 200 OK", "Content-Length: 5"}, {"hello"}).fault,
        Fault::kNoMemory);
    EXPECT_EQ(answer(keeping(9), {"HTTP/1.1 200 OK"}, {"hello"}).fault, Fault::kNoLength);
    EXPECT_EQ(answer(keeping(9), {"HTTP/1.1 200 OK", "Content-Length: -5"}, {"hello"}).fault,
              Fault::kNoLength);
}

TEST(Exchange, TakesTooFewAndTooManyBytesForTruncated) {
    EXPECT_EQ(answer(keeping(9), {"HTTP/1.1 200 OK", "Content-Length: 5"}, {"hell"}).fault,
              Fault::kTruncated);
    EXPECT_EQ(answer(keeping(9), {"HTTP/1.1 200 OK", "Content-Length: 5"}, {"hello!"}).fault,
              Fault::kTruncated);
}

TEST(Exchange, KeepsTheBeginningOfAnErrorAndItsStatus) {
    const auto response =
        answer(keeping(100), {"HTTP/1.1 503 Slow", "Content-Length: 50"}, {"01234567", "89abcdef"});
    EXPECT_EQ(response.fault, Fault::kNone);
    EXPECT_EQ(response.status, 503);
    EXPECT_EQ(response.text, "0123456789");
    EXPECT_EQ(response.body, nullptr);
}

TEST(Exchange, ReportsTheFirstBytesAndThenInSteps) {
    std::vector<std::size_t> told;
    Exchange exchange(
        keeping(1 << 20),
        [&](const SharedBuffer&, std::size_t available, std::uint64_t) {
            told.push_back(available);
        },
        nullptr);
    exchange.take_header("HTTP/1.1 200 OK\r\n");
    exchange.take_header("Content-Length: 200000\r\n");
    EXPECT_FALSE(exchange.progress_due());
    const Bytes piece(16'384);
    for (int i = 0; i < 12; ++i) {
        EXPECT_TRUE(exchange.take_body(piece));
        if (exchange.progress_due()) exchange.report_progress();
    }
    EXPECT_EQ(told, (std::vector<std::size_t>{16'384, 81'920, 147'456}));
}

TEST(Exchange, GivesEverythingBackTheMomentItIsCancelled) {
    ByteBudget budget(100);
    bool called = false;
    auto request = keeping(100, &budget);
    auto body = std::make_shared<Buffer>(7);
    request.body = body;
    Exchange exchange(std::move(request), nullptr, [&](HttpResponse) { called = true; });
    exchange.take_header("HTTP/1.1 200 OK\r\n");
    exchange.take_header("Content-Length: 50\r\n");
    EXPECT_TRUE(exchange.take_body(Bytes(10)));
    EXPECT_EQ(budget.used_bytes(), 50U);
    exchange.cancel();
    EXPECT_EQ(budget.used_bytes(), 0U);
    EXPECT_EQ(body.use_count(), 1);
    EXPECT_FALSE(exchange.take_body(Bytes(10)));
    Bytes out(4);
    EXPECT_FALSE(exchange.read_upload(0, out).has_value());
    exchange.finish(Fault::kNone, "", std::nullopt);
    exchange.complete();
    EXPECT_FALSE(called);
}

TEST(ContentRange, IsReadStrictly) {
    const auto range = parse_content_range("bytes 0-9/443");
    ASSERT_TRUE(range.has_value());
    EXPECT_EQ(range->last, 9U);
    for (const char* text : {"", "bytes", "bytes 0-9/*", "bytes 9-0/443", "bytes 0-443/443",
                             "bytes -9/443", "bytes 0-9", "items 0-9/443", "bytes 0/9-443"}) {
        EXPECT_FALSE(parse_content_range(text).has_value()) << text;
    }
}

}  // namespace
}  // namespace kollator::store::s3
