#include "signaling/message.h"

#include <gtest/gtest.h>

#include "signaling/back_off.h"
#include "signaling/web_socket_url.h"
#include "signaling/worker_token.h"

namespace kollator::signaling {
namespace {

template <typename T>
T round_trip(const T& message) {
    const auto decoded = decode_message(encode_message(message));
    EXPECT_TRUE(decoded.ok()) << encode_message(message);
    const T* same = decoded.ok() ? std::get_if<T>(&*decoded) : nullptr;
    return same != nullptr ? *same : T{};
}

const RegisterWorker kWorker{"worker-001", 1763800000, std::string(64, 'a'), "http://host:8081",
                             1000};
const std::string kUuid = "123e4567-e89b-42d3-a456-426614174000";

TEST(SignalingMessage, RoundTripsEveryKind) {
    EXPECT_EQ(round_trip(kWorker), kWorker);
    EXPECT_EQ(round_trip(RegisterClient{}), RegisterClient{});
    EXPECT_EQ(round_trip(RegisterClient{kUuid}), RegisterClient{kUuid});
    EXPECT_EQ(round_trip(Registered{"x"}), Registered{"x"});
    const ErrorMessage error{"no-such-peer", "gone \"x\"", "a"};
    EXPECT_EQ(round_trip(error), error);
    const WorkerStatus status{12, 1234, true};
    EXPECT_EQ(round_trip(status), status);
    const Signal offer = round_trip(Signal{"to", "from", make_offer("v=0\r\n")});
    EXPECT_EQ(offer.data.sdp, "v=0\r\n");
    EXPECT_EQ(offer.from, "from");
    const Signal candidate = round_trip(Signal{"to", "", make_candidate("candidate:1", "data", 2)});
    EXPECT_EQ(candidate.data.kind, SignalData::Kind::kCandidate);
    EXPECT_EQ(candidate.data.candidate, "candidate:1");
    EXPECT_EQ(candidate.data.sdp_mid, "data");
    EXPECT_EQ(candidate.data.sdp_mline_index, 2u);
}

TEST(SignalingMessage, KeepsWhatItDoesNotKnowInSignalsThatArePassedOn) {
    const auto message = decode_message(
        R"({"type":"signal","to":"a","data":{"type":"answer","sdp":"s","new":{"x":[1,null]}}})");
    ASSERT_TRUE(message.ok());
    EXPECT_NE(encode_message(*message).find(R"("new":{"x":[1,null]})"), std::string::npos);
}

TEST(SignalingMessage, TakesANullCandidateAsTheEndOfCandidates) {
    const auto message = decode_message(
        R"({"type":"signal","to":"a","data":{"type":"candidate","candidate":null}})");
    ASSERT_TRUE(message.ok());
    EXPECT_EQ(std::get<Signal>(*message).data.candidate, "");
}

TEST(SignalingMessage, RefusesWhatIsMalformed) {
    for (const char* text :
         {"",
          "null",
          "[]",
          "{}",
          R"({"type":1})",
          R"({"type":"x"})",
          R"({"type":"register"})",
          R"({"type":"register","role":"king"})",
          R"({"type":"register","role":"client","id":"no-uuid"})",
          R"({"type":"register","role":"client","id":5})",
          R"({"type":"register","role":"worker","id":"a:b","timestamp":1,"token":"",)"
          R"("url":"http://h","capacity":1})",
          R"({"type":"register","role":"worker","id":"a","timestamp":-1,"token":"",)"
          R"("url":"http://h","capacity":1})",
          R"({"type":"register","role":"worker","id":"a","timestamp":1e99,"token":"",)"
          R"("url":"http://h","capacity":1})",
          R"({"type":"register","role":"worker","id":"a","timestamp":1,"token":7,)"
          R"("url":"http://h","capacity":1})",
          R"({"type":"register","role":"worker","id":"a","timestamp":1,"token":"",)"
          R"("url":"javascript:x","capacity":1})",
          R"({"type":"register","role":"worker","id":"a","timestamp":1,"token":"",)"
          R"("url":"http://h","capacity":"1"})",
          R"({"type":"signal","to":"","data":{"type":"offer","sdp":""}})",
          R"({"type":"signal","to":"a"})",
          R"({"type":"signal","to":"a","data":"x"})",
          R"({"type":"signal","to":"a","data":{"type":"renegotiate"}})",
          R"({"type":"signal","to":"a","data":{"type":"offer"}})",
          R"({"type":"signal","to":"a","data":{"type":"candidate","candidate":"x"}})",
          R"({"type":"signal","to":"a","from":"<>","data":{"type":"offer","sdp":""}})",
          R"({"type":"status","connections":-1,"cacheBytes":0})",
          R"({"type":"status"})",
          R"({"type":"error"})",
          R"({"type":"registered"})"}) {
        const auto message = decode_message(text);
        EXPECT_FALSE(message.ok()) << text;
    }
}

TEST(SignalingMessage, StaysSoundCutAtEachByte) {
    const std::string text = encode_message(Signal{"a", "b", make_candidate("candidate:1")});
    for (std::size_t size = 0; size < text.size(); ++size) {
        EXPECT_FALSE(decode_message(text.substr(0, size)).ok());
    }
}

TEST(SignalingMessage, BoundsLengthAndDepth) {
    EXPECT_EQ(decode_message(std::string(kMaxMessageBytes + 1, ' ')).error().code,
              ErrorCode::kLimit);
    const std::string deep = R"({"type":"status","connections":1,"cacheBytes":1,"x":)" +
                             std::string(40, '[') + std::string(40, ']') + "}";
    EXPECT_EQ(decode_message(deep).error().code, ErrorCode::kLimit);
}

TEST(SignalingIds, HaveNoColonAndABound) {
    for (const char* id : {"a", "worker-001", "A.b_c", kUuid.c_str()}) EXPECT_TRUE(is_valid_id(id));
    EXPECT_TRUE(is_valid_id(std::string(64, 'x')));
    for (const std::string& id : {std::string(), std::string("a:b"), std::string("a b"),
                                  std::string("ä"), std::string(65, 'x')}) {
        EXPECT_FALSE(is_valid_id(id)) << id;
    }
    EXPECT_TRUE(is_uuid(kUuid));
    EXPECT_FALSE(is_uuid(kUuid.substr(1)));
    EXPECT_FALSE(is_uuid("123e4567ee89bb42d3aa456e426614174000"));
    EXPECT_FALSE(is_valid_worker_url("http://"));
    EXPECT_FALSE(is_valid_worker_url("http://a b"));
    EXPECT_FALSE(is_valid_worker_url("http://" + std::string(kMaxUrlBytes, 'a')));
}

const Bytes kKey(32, 7);
const WallTime kNow{std::chrono::seconds(1'763'800'000)};
constexpr std::uint64_t kNowSeconds = 1'763'800'000;

TEST(WorkerToken, IsHmacSha256OfIdAndTimestamp) {
    // python3: hmac.new(b"\7"*32, b"worker-001:1763800000", "sha256").hexdigest()
    EXPECT_EQ(make_worker_token(kKey, "worker-001", kNowSeconds),
              "2f4677fdcc777253b9b86813ebd530a64cb5504fe00fb4bcf1a447326c80f7bf");
}

TEST(WorkerToken, IsTakenOnceWhileFresh) {
    WorkerTokenVerifier verifier(kKey);
    const std::string token = make_worker_token(kKey, "w", kNowSeconds);
    EXPECT_TRUE(verifier.verify("w", kNowSeconds, token, kNow).ok());
    const Status again = verifier.verify("w", kNowSeconds, token, kNow + std::chrono::seconds(60));
    ASSERT_FALSE(again.ok());
    EXPECT_NE(again.error().detail.find("before"), std::string::npos);
    const std::string next = make_worker_token(kKey, "w", kNowSeconds + 1);
    EXPECT_TRUE(verifier.verify("w", kNowSeconds + 1, next, kNow).ok());
}

TEST(WorkerToken, IsRefusedStaleOrFromTheFuture) {
    WorkerTokenVerifier verifier(kKey);
    for (const std::uint64_t stamp : {kNowSeconds - 61, kNowSeconds + 61}) {
        const std::string token = make_worker_token(kKey, "w", stamp);
        EXPECT_FALSE(verifier.verify("w", stamp, token, kNow).ok());
    }
    for (const std::uint64_t stamp : {kNowSeconds - 60, kNowSeconds + 60}) {
        const std::string token = make_worker_token(kKey, "w", stamp);
        EXPECT_TRUE(verifier.verify("w", stamp, token, kNow).ok());
    }
}

TEST(WorkerToken, IsRefusedWhereAnythingDiffers) {
    WorkerTokenVerifier verifier(kKey);
    const std::string token = make_worker_token(kKey, "w", kNowSeconds);
    EXPECT_FALSE(verifier.verify("v", kNowSeconds, token, kNow).ok());
    EXPECT_FALSE(verifier.verify("w", kNowSeconds + 1, token, kNow).ok());
    EXPECT_FALSE(verifier.verify("w", kNowSeconds, token + "00", kNow).ok());
    EXPECT_FALSE(verifier.verify("w", kNowSeconds, token.substr(2), kNow).ok());
    EXPECT_FALSE(verifier.verify("w", kNowSeconds, "", kNow).ok());
    EXPECT_FALSE(verifier.verify("w", kNowSeconds, std::string(64, 'z'), kNow).ok());
    EXPECT_FALSE(WorkerTokenVerifier(Bytes(32, 8)).verify("w", kNowSeconds, token, kNow).ok());
    EXPECT_FALSE(WorkerTokenVerifier({})
                     .verify("w", kNowSeconds, make_worker_token({}, "w", kNowSeconds), kNow)
                     .ok());
}

TEST(WorkerToken, ForgetsOnlyWhatIsStaleAnyway) {
    WorkerTokenVerifier verifier(kKey);
    for (std::size_t i = 0; i < kMaxRememberedTokens; ++i) {
        const std::string id = "w" + std::to_string(i);
        ASSERT_TRUE(
            verifier.verify(id, kNowSeconds, make_worker_token(kKey, id, kNowSeconds), kNow).ok());
    }
    const std::string token = make_worker_token(kKey, "x", kNowSeconds + 60);
    EXPECT_EQ(verifier.verify("x", kNowSeconds + 60, token, kNow).error().code, ErrorCode::kLimit);
    EXPECT_TRUE(
        verifier.verify("x", kNowSeconds + 60, token, kNow + std::chrono::seconds(61)).ok());
}

TEST(WebSocketUrl, TakesItsParts) {
    const auto plain = parse_web_socket_url("ws://front.example:8080/signaling?a=b");
    ASSERT_TRUE(plain.ok());
    EXPECT_FALSE(plain->secure);
    EXPECT_EQ(plain->host, "front.example");
    EXPECT_EQ(plain->port, 8080);
    EXPECT_EQ(plain->target, "/signaling?a=b");
    EXPECT_EQ(plain->host_header, "front.example:8080");
    const auto secure = parse_web_socket_url("wss://[::1]");
    ASSERT_TRUE(secure.ok());
    EXPECT_TRUE(secure->secure);
    EXPECT_EQ(secure->host, "::1");
    EXPECT_EQ(secure->port, 443);
    EXPECT_EQ(secure->target, "/");
    EXPECT_EQ(secure->host_header, "[::1]");
    EXPECT_TRUE(parse_web_socket_url("https://a")->secure);
    for (const char* url : {"", "front", "ftp://a/", "ws://", "ws://u:p@a/", "ws://a:99999/",
                            "ws://a:0/", "ws://a b/", "ws://a\r\nX: y/"}) {
        EXPECT_FALSE(parse_web_socket_url(url).ok()) << url;
    }
    EXPECT_FALSE(parse_web_socket_url("ws://a/" + std::string(3000, 'x')).ok());
}

TEST(BackOff, GrowsToItsLimitWithFullJitter) {
    SeededRandom random(3);
    const Duration base = std::chrono::milliseconds(100);
    BackOff back_off(random, base, base * 8);
    Duration longest{};
    for (int attempt = 0; attempt < 200; ++attempt) {
        const Duration delay = back_off.next();
        EXPECT_LE(delay, base * std::min(8, 1 << std::min(attempt, 3)));
        longest = std::max(longest, delay);
    }
    EXPECT_GT(longest, base * 6);
    back_off.reset();
    EXPECT_LE(back_off.next(), base);
}

}  // namespace
}  // namespace kollator::signaling
