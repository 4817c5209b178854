#include "store/s3/verdict.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace kollator::store::s3 {
namespace {

using std::chrono::milliseconds;

Verdict verdict(int status, std::string code = "", Method method = Method::kGet) {
    Attempt attempt;
    attempt.method = method;
    attempt.status = status;
    attempt.code = std::move(code);
    return judge(attempt);
}

Verdict verdict(Fault fault) {
    Attempt attempt;
    attempt.fault = fault;
    return judge(attempt);
}

TEST(Verdict, SucceedsOnEvery2xx) {
    for (int status : {200, 204, 206}) {
        EXPECT_EQ(verdict(status).action, Action::kSucceed);
    }
}

TEST(Verdict, GoesByTheCodeBeforeTheStatus) {
    EXPECT_EQ(verdict(404, "NoSuchKey"), (Verdict{Action::kFail, ErrorCode::kNotFound}));
    EXPECT_EQ(verdict(404, "NoSuchBucket"), (Verdict{Action::kFail, ErrorCode::kInvalid}));
    // Wasabi's.
    EXPECT_EQ(verdict(400, "RequestRateLimitExceeded"),
              (Verdict{Action::kRetrySlower, ErrorCode::kUnavailable}));
    EXPECT_EQ(verdict(400, "RequestTimeout"), (Verdict{Action::kRetry, ErrorCode::kTimeout}));
    EXPECT_EQ(verdict(403, "RequestTimeTooSkewed").action, Action::kCorrectClock);
    EXPECT_EQ(verdict(409, "ConditionalRequestConflict").action, Action::kRetry);
    EXPECT_EQ(verdict(400, "XAmzContentSHA256Mismatch", Method::kPut),
              (Verdict{Action::kRetry, ErrorCode::kCorrupt}));
    EXPECT_EQ(verdict(400, "IncompleteBody", Method::kPut).action, Action::kRetry);
    EXPECT_EQ(verdict(403, "QuotaExceeded").error, ErrorCode::kLimit);
}

TEST(Verdict, GoesByTheStatusWhereThereIsNoCode) {
    EXPECT_EQ(verdict(404), (Verdict{Action::kFail, ErrorCode::kNotFound}));
    EXPECT_EQ(verdict(400), (Verdict{Action::kFail, ErrorCode::kInvalid}));
    EXPECT_EQ(verdict(403), (Verdict{Action::kFail, ErrorCode::kInvalid}));
    EXPECT_EQ(verdict(301), (Verdict{Action::kFail, ErrorCode::kInvalid}));
    EXPECT_EQ(verdict(501), (Verdict{Action::kFail, ErrorCode::kInvalid}));
    for (int status : {500, 502, 504, 520}) {
        EXPECT_EQ(verdict(status), (Verdict{Action::kRetry, ErrorCode::kUnavailable}));
    }
    for (int status : {429, 503}) {
        EXPECT_EQ(verdict(status), (Verdict{Action::kRetrySlower, ErrorCode::kUnavailable}));
    }
    EXPECT_EQ(verdict(503, "SomethingNew").action, Action::kRetrySlower);
}

TEST(Verdict, TakesA403WithoutACodeForSkewOnlyWhereTheDatesDiffer) {
    Attempt head;
    head.method = Method::kHead;
    head.status = 403;
    head.clock_is_off = true;
    EXPECT_EQ(judge(head).action, Action::kCorrectClock);
    head.code = "AccessDenied";
    EXPECT_EQ(judge(head).action, Action::kFail);
}

TEST(Verdict, NamesWhatTheCallerDoesAboutAFault) {
    EXPECT_EQ(verdict(Fault::kUnreachable), (Verdict{Action::kRetry, ErrorCode::kUnavailable}));
    EXPECT_EQ(verdict(Fault::kTimeout), (Verdict{Action::kRetry, ErrorCode::kTimeout}));
    EXPECT_EQ(verdict(Fault::kTruncated), (Verdict{Action::kRetry, ErrorCode::kCorrupt}));
    EXPECT_EQ(verdict(Fault::kTls), (Verdict{Action::kFail, ErrorCode::kInvalid}));
    EXPECT_EQ(verdict(Fault::kTooLarge), (Verdict{Action::kFail, ErrorCode::kLimit}));
    EXPECT_EQ(verdict(Fault::kNoMemory), (Verdict{Action::kFail, ErrorCode::kLimit}));
}

TEST(Verdict, AConditionThatHoldsMeansAlreadyThere) {
    Attempt put;
    put.method = Method::kPut;
    put.status = 412;
    put.code = "PreconditionFailed";
    EXPECT_EQ(judge(put).action, Action::kFail);
    put.conditional = true;
    EXPECT_EQ(judge(put).action, Action::kAlreadyThere);
}

TEST(Verdict, GoesWithoutTheConditionWhereTheServerDoesNotKnowIt) {
    for (const auto& [status, code] :
         {std::pair(501, "NotImplemented"), std::pair(501, ""), std::pair(400, "InvalidArgument"),
          std::pair(400, ""), std::pair(400, "NotImplemented")}) {
        Attempt put;
        put.method = Method::kPut;
        put.status = status;
        put.code = code;
        put.conditional = true;
        EXPECT_EQ(judge(put).action, Action::kRetryUnconditional) << status << code;
        put.conditional = false;
        EXPECT_EQ(judge(put).action, Action::kFail) << status << code;
    }
    Attempt damaged;
    damaged.method = Method::kPut;
    damaged.status = 400;
    damaged.code = "XAmzContentSHA256Mismatch";
    damaged.conditional = true;
    EXPECT_EQ(judge(damaged).error, ErrorCode::kCorrupt);
}

TEST(Verdict, ARefusalIsNoLongerTheConditionsFaultWhereTheServerIsKnownToKeepIt) {
    Attempt put;
    put.method = Method::kPut;
    put.status = 400;
    put.conditional = true;
    put.conditions_known = true;
    EXPECT_EQ(judge(put).action, Action::kFail);
}

TEST(Verdict, BelievesNoAnswerThatAnObjectIsStoredButAStoresOwn) {
    Attempt put;
    put.method = Method::kPut;
    put.status = 200;
    EXPECT_EQ(judge(put), (Verdict{Action::kRetry, ErrorCode::kUnavailable}));
    put.has_etag = true;
    EXPECT_EQ(judge(put).action, Action::kSucceed);
    put.has_etag = false;
    put.status = 412;
    put.conditional = true;
    EXPECT_EQ(judge(put).action, Action::kRetryUnconditional);
}

TEST(Verdict, A404ThatIsNoStoresOwnSaysNothingOfTheObject) {
    Attempt get;
    get.status = 404;
    get.has_text = true;
    EXPECT_EQ(judge(get), (Verdict{Action::kRetry, ErrorCode::kUnavailable}));
    get.code = "NoSuchKey";
    EXPECT_EQ(judge(get).error, ErrorCode::kNotFound);
}

TEST(Verdict, AnOutageIsNoAnswerOrAFailureOfTheServersOwn) {
    const auto outage = [](Fault fault, int status, const char* code = "") {
        Attempt attempt;
        attempt.fault = fault;
        attempt.status = status;
        attempt.code = code;
        return is_outage(attempt, judge(attempt));
    };
    for (const Fault fault : {Fault::kUnreachable, Fault::kTimeout, Fault::kTruncated, Fault::kTls,
                              Fault::kMisconfigured}) {
        EXPECT_TRUE(outage(fault, 0));
    }
    for (const Fault fault : {Fault::kTooLarge, Fault::kNoMemory, Fault::kNoLength}) {
        EXPECT_FALSE(outage(fault, 200));
    }
    for (const int status : {500, 502, 504}) EXPECT_TRUE(outage(Fault::kNone, status));
    for (const int status : {200, 301, 403, 404, 429, 501, 503}) {
        EXPECT_FALSE(outage(Fault::kNone, status)) << status;
    }
    EXPECT_FALSE(outage(Fault::kNone, 500, "SlowDown"));
}

TEST(Verdict, RemovingWhatIsNotThereSucceeds) {
    EXPECT_EQ(verdict(404, "NoSuchKey", Method::kDelete).action, Action::kSucceed);
    EXPECT_EQ(verdict(404, "NoSuchBucket", Method::kDelete).action, Action::kFail);
}

TEST(Advice, PointsAtTheSettingThatIsWrong) {
    EXPECT_NE(advice_for("SignatureDoesNotMatch").find("S3_SECRET_KEY"), std::string_view::npos);
    EXPECT_EQ(advice_for("Unheard"), "");
}

TEST(Backoff, StaysBelowADoublingBoundAndItsCap) {
    SeededRandom random(7);
    Duration longest[7] = {};
    for (int round = 0; round < 2000; ++round) {
        for (int attempt = 2; attempt < 7; ++attempt) {
            const Duration wait = backoff(attempt, milliseconds(100), milliseconds(500), random);
            EXPECT_GE(wait, Duration::zero());
            longest[attempt] = std::max(longest[attempt], wait);
        }
    }
    EXPECT_LE(longest[2], milliseconds(100));
    EXPECT_GT(longest[2], milliseconds(90));
    EXPECT_LE(longest[3], milliseconds(200));
    EXPECT_GT(longest[3], milliseconds(180));
    EXPECT_LE(longest[6], milliseconds(500));
    EXPECT_GT(longest[6], milliseconds(450));
}

TEST(Backoff, RepeatsItselfForASeed) {
    SeededRandom one(3);
    SeededRandom two(3);
    EXPECT_EQ(backoff(3, milliseconds(100), milliseconds(500), one),
              backoff(3, milliseconds(100), milliseconds(500), two));
}

}  // namespace
}  // namespace kollator::store::s3
