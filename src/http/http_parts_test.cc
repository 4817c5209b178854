#include <gtest/gtest.h>

#include "http/admin_guard.h"
#include "http/object_endpoints.h"
#include "http/response_headers.h"
#include "http/router.h"
#include "http/sdp_fragment.h"
#include "http/session_names.h"
#include "http/static_asset.h"
#include "http/target.h"
#include "http/worker_documents.h"

namespace kollator::http {
namespace {

TEST(Target, DecodesPathAndQuery) {
    const auto target = parse_target("/a%2Fb/c+d?x=1&y=a+b%26&flag&&z=");
    ASSERT_TRUE(target.ok());
    EXPECT_EQ(target->path, "/a/b/c+d");
    EXPECT_EQ(target->query, (Fields{{"x", "1"}, {"y", "a b&"}, {"flag", ""}, {"z", ""}}));
    EXPECT_EQ(parse_target("http://host:1/p?q")->path, "/p");
    EXPECT_EQ(parse_target("http://host")->path, "/");
    EXPECT_EQ(parse_target("*")->path, "*");
}

TEST(Target, RefusesEscapesThatAreBroken) {
    for (const char* text : {"", "a", "/%", "/%4", "/%4g", "/%00", "/a%0d%0ab", "/..", "/a/./b",
                             "/%2e%2e/x", "/?a=%f", "/a\tb"}) {
        EXPECT_FALSE(parse_target(text).ok()) << text;
    }
    EXPECT_FALSE(parse_target("/" + std::string(kMaxTargetBytes, 'a')).ok());
    std::string many = "/?";
    for (std::size_t i = 0; i <= kMaxQueryFields; ++i) many += "a&";
    EXPECT_FALSE(parse_target(many).ok());
}

TEST(Router, FindsByPatternAndTellsTheMethods) {
    Router router;
    const auto add = [&](const char* method, const char* pattern) {
        Route route;
        route.method = method;
        route.handler = [](const Request&, const Responder&) {};
        router.add(std::move(route), pattern);
    };
    add("GET", "/");
    add("GET", "/rtc/{session}");
    add("DELETE", "/rtc/{session}");
    EXPECT_TRUE(router.match("GET", "/").route);
    EXPECT_TRUE(router.match("HEAD", "/").route);
    const RouteMatch match = router.match("DELETE", "/rtc/abc");
    ASSERT_TRUE(match.route);
    EXPECT_EQ(match.params.at("session"), "abc");
    EXPECT_EQ(allow_text(router.match("PUT", "/rtc/abc")), "GET, HEAD, DELETE, OPTIONS");
    for (const char* path : {"/rtc", "/rtc/", "/rtc/a/b", "/x", "//", "*"}) {
        EXPECT_TRUE(router.match("GET", path).allowed.empty()) << path;
    }
}

TEST(SdpFragment, TakesCandidatesOfAllSections) {
    const auto fragment = parse_sdp_fragment(
        "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=application 9 DTLS/SCTP 0\r\n"
        "a=mid:0\r\na=candidate:1 1 UDP 1 192.0.2.1 5 typ host\n\r\na=end-of-candidates\r\n");
    ASSERT_TRUE(fragment.ok());
    EXPECT_EQ(fragment->ufrag, "EsAw");
    EXPECT_EQ(fragment->candidates,
              std::vector<std::string>{"candidate:1 1 UDP 1 192.0.2.1 5 typ host"});
    EXPECT_TRUE(fragment->end_of_candidates);
}

TEST(SdpFragment, StaysSoundCutAtEachByteAndRefusesWhatIsNoSdp) {
    const std::string text = "a=ice-ufrag:E\r\na=candidate:1 1 UDP 1 192.0.2.1 5 typ host\r\n";
    for (std::size_t size = 0; size <= text.size(); ++size) {
        const auto fragment = parse_sdp_fragment(text.substr(0, size));
        if (fragment) {
            EXPECT_LE(fragment->candidates.size(), 1u);
        }
    }
    for (const char* bad : {"a", "=b", "A=b", "a=x\x01y", "hello"}) {
        EXPECT_FALSE(parse_sdp_fragment(bad).ok()) << bad;
    }
    std::string many;
    for (std::size_t i = 0; i <= kMaxFragmentCandidates; ++i) many += "a=candidate:1\n";
    EXPECT_FALSE(parse_sdp_fragment(many).ok());
    EXPECT_FALSE(parse_sdp_fragment("a=" + std::string(kMaxSdpLineBytes, 'x')).ok());
    EXPECT_FALSE(parse_sdp_fragment(std::string(kMaxSdpFragmentBytes + 1, '\n')).ok());
}

Request local_post() {
    Request request;
    request.method = "POST";
    request.is_loopback = true;
    request.headers = {{"Host", "localhost:8081"}};
    return request;
}

int refusal(const Request& request, std::string_view token = "") {
    const auto response = refuse_unless_admin(request, token);
    return response ? response->status : 0;
}

TEST(AdminGuard, WithATokenOnlyTheTokenCounts) {
    Request request = local_post();
    EXPECT_EQ(refusal(request, "secret"), 401);
    request.is_loopback = false;
    request.headers.emplace_back("authorization", "bearer secret");
    EXPECT_EQ(refusal(request, "secret"), 0);
    EXPECT_EQ(refusal(request, "secret2"), 401);
    EXPECT_EQ(refusal(request, "secreT"), 401);
}

TEST(AdminGuard, WithoutATokenOnlyThisMachineMay) {
    EXPECT_EQ(refusal(local_post()), 0);
    Request remote = local_post();
    remote.is_loopback = false;
    EXPECT_EQ(refusal(remote), 403);
    for (const char* host : {"127.0.0.1:80", "[::1]:80", "127.9.9.9", "LOCALHOST"}) {
        Request request = local_post();
        request.headers = {{"Host", host}};
        EXPECT_EQ(refusal(request), 0) << host;
    }
}

TEST(AdminGuard, RefusesWebPagesOfOtherOriginsReboundNamesAndProxies) {
    for (const char* host : {"evil.example", "127.0.0.1.evil.example", "", "[::1", "192.0.2.1"}) {
        Request request = local_post();
        request.headers = {{"Host", host}};
        EXPECT_EQ(refusal(request), 403) << host;
    }
    for (const auto& header : Fields{{"Origin", "https://evil.example"},
                                     {"Origin", "null"},
                                     {"Origin", ""},
                                     {"Sec-Fetch-Site", "cross-site"},
                                     {"X-Forwarded-For", "192.0.2.1"},
                                     {"Forwarded", "for=192.0.2.1"}}) {
        Request request = local_post();
        request.headers.push_back(header);
        EXPECT_EQ(refusal(request), 403) << header.first << header.second;
    }
    Request same = local_post();
    same.headers.emplace_back("Origin", "http://localhost:8081");
    same.headers.emplace_back("Sec-Fetch-Site", "same-origin");
    EXPECT_EQ(refusal(same), 0);
}

TEST(SessionNames, AreKnownOnlyToWhoMadeThem) {
    SeededRandom random(1);
    const SessionNames names(random);
    const SessionNames others(random);
    const std::string name = names.name_of(0xabc);
    EXPECT_TRUE(name.starts_with("abc-"));
    EXPECT_EQ(names.peer_of(name), 0xabcu);
    EXPECT_FALSE(others.peer_of(name));
    EXPECT_FALSE(names.peer_of("abd" + name.substr(3)));
    for (std::size_t size = 0; size < name.size(); ++size) {
        EXPECT_FALSE(names.peer_of(name.substr(0, size)));
    }
}

TEST(StaticAsset, IsNotSentAgainWhenTheClientHasIt) {
    static const std::uint8_t kBytes[] = {'a', 'b'};
    static const std::uint8_t kGzip[] = {'z'};
    const StaticAsset asset{"text/css", kBytes, "\"e1\"", kGzip};
    Request request;
    EXPECT_EQ(asset_response(asset, request).body_view(), "ab");
    request.headers = {{"Accept-Encoding", "br, GZIP;q=0.5"}};
    EXPECT_EQ(asset_response(asset, request).body_view(), "z");
    request.headers = {{"Accept-Encoding", "gzip;q=0.0, identity"}};
    EXPECT_EQ(asset_response(asset, request).body_view(), "ab");
    for (const char* etag : {"\"e1\"", "\"e0\", W/\"e1\"", "*"}) {
        request.headers = {{"If-None-Match", etag}};
        EXPECT_EQ(asset_response(asset, request).status, 304) << etag;
    }
    request.headers = {{"If-None-Match", "\"e2\""}};
    EXPECT_EQ(asset_response(asset, request).status, 200);
}

TEST(Documents, HealthIsTheWorstOfItsChecks) {
    HealthReport report{.worker_id = "w\"1", .version = "1", .uptime_s = 7, .checks = {}};
    EXPECT_EQ(report.status(), CheckStatus::kOk);
    report.checks = {{"store", CheckStatus::kWarn, "slow \xff"}, {"cache", CheckStatus::kOk, ""}};
    EXPECT_EQ(health_json(report),
              "{\"checks\":{\"cache\":{\"detail\":\"\",\"status\":\"ok\"},"
              "\"store\":{\"detail\":\"slow \xEF\xBF\xBD\",\"status\":\"warn\"}},"
              "\"status\":\"warn\",\"uptime\":7,\"version\":\"1\",\"workerId\":\"w\\\"1\"}");
    report.checks[1].status = CheckStatus::kError;
    EXPECT_EQ(report.status(), CheckStatus::kError);
}

TEST(Documents, StatsHaveTheShapeOfTheContract) {
    WorkerStats stats;
    stats.cache.rates.hits = 3;
    stats.cache.rates.misses = 1;
    stats.cache.size_bytes = 287'500'000;
    stats.cache.most_accessed = ChunkUse{ChunkId(), 9};
    stats.cache.rates_of_late = {
        {5, {.hits = 1, .misses = 3, .served_bytes = 8, .cached_bytes = 6}}};
    const std::string json = stats_json(stats, Reader::kAdmin);
    for (const char* part :
         {"\"hitRate\":0.75", "\"missRate\":0.25", "\"evictionRate\":0.0", "\"size\":\"287MB\"",
          "\"sizeBytes\":287500000", "\"leastAccessed\":null", "\"hits\":9",
          "\"connections\":{\"active\":0,\"total\":0}", "\"s3Requests\":0", "\"peers\":0"}) {
        EXPECT_NE(json.find(part), std::string::npos) << part << " in " << json;
    }
    EXPECT_NE(json.find("\"egress\":null"), std::string::npos) << json;
    stats.storage.circuit = "open";
    stats.storage.operations = {{"get", "ok", 4}, {"get", "timeout", 1}, {"put", "ok", 2}};
    stats.storage.egress = EgressUse{"2026-11", 5, 0, false};
    EXPECT_NE(json.find(ChunkId().hex()), std::string::npos);
    EXPECT_NE(json.find("\"lastMinutes\":{\"5\":{\"byteHitRate\":0.75"), std::string::npos) << json;
    EXPECT_NE(json.find("\"scrub\":null"), std::string::npos);
    const std::string more = stats_json(stats, Reader::kAnyone);
    EXPECT_EQ(more.find(ChunkId().hex()), std::string::npos) << "names are for admins";
    EXPECT_NE(more.find("\"mostAccessed\":{\"hash\":null,\"hits\":9}"), std::string::npos);
    for (const char* part : {"\"circuit\":\"open\"",
                             "\"operations\":{\"get\":{\"ok\":4,\"timeout\":1},\"put\":{\"ok\":2}}",
                             "\"egress\":{\"budgetBytes\":null,\"limited\":false,\"month\":\"2026-"
                             "11\",\"usedBytes\":5}"}) {
        EXPECT_NE(more.find(part), std::string::npos) << part << " in " << more;
    }
    EXPECT_EQ(human_size(999), "999B");
    EXPECT_EQ(human_size(12'999), "12KB");
    EXPECT_EQ(human_size(1'500'000'000), "1.5GB");
}

TEST(Documents, APageOfChunksTellsWhereTheNextBegins) {
    EXPECT_EQ(chunks_json({}), "{\"chunks\":[],\"more\":false,\"next\":null}");
    const std::string json = chunks_json({.chunks = {{ChunkId(), 5}}, .more = true});
    EXPECT_NE(json.find("\"next\":\"" + std::string(64, '0')), std::string::npos);
}

TEST(HttpDate, IsAsRfc9110HasIt) {
    EXPECT_EQ(http_date(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
}

TEST(MediaType, IgnoresParametersAndCase) {
    EXPECT_TRUE(media_type_is("Application/SDP ; charset=utf-8", "application/sdp"));
    EXPECT_FALSE(media_type_is("application/sdpx", "application/sdp"));
    EXPECT_FALSE(media_type_is("", "application/sdp"));
}

}  // namespace
}  // namespace kollator::http
