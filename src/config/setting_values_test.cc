// Settings that no other test sets: each does what its name says, and refuses what it must.

#include <gtest/gtest.h>

#include <functional>

#include "config/settings.h"

namespace kollator::config {
namespace {

struct Case {
    const char* name;
    const char* good;
    std::function<bool(const Config&)> took;
    std::vector<const char*> bad;
};

const std::vector<Case> kCases = {
    {"ANNOUNCE_ADDRESSES",
     "192.0.2.1, 2001:db8::1",
     [](const Config& c) {
         return c.announce_addresses == std::vector<std::string>{"192.0.2.1", "2001:db8::1"};
     },
     {"worker.example", "192.0.2.1:80"}},
    {"PUBLIC_URL",
     "https://w.example",
     [](const Config& c) { return c.public_url == "https://w.example"; },
     {"w.example", "ftp://w.example"}},
    {"CACHE_POLICY", "lru", [](const Config& c) { return c.cache_policy == "lru"; }, {"fifo"}},
    {"FELLOWS",
     "http://w2.example:8081",
     [](const Config& c) {
         return c.fellows == std::vector<std::string>{"http://w2.example:8081"};
     },
     {"w2.example", "ftp://w2.example"}},
    {"SCRUB_INTERVAL_HOURS", "24", nullptr, {"-1", "daily"}},
    {"SCRUB_MB_PER_SECOND", "5", nullptr, {"-1", "fast"}},
    {"METADATA_CACHE_MB",
     "20",
     [](const Config& c) { return c.metadata_cache_size_bytes == 20'000'000; },
     {"-1", "ten"}},
    {"MAX_CHUNK_BYTES",
     "1048576",
     [](const Config& c) { return c.max_chunk_bytes == 1048576; },
     {"0", "5MB", "999999999999"}},
    {"FETCH_BUDGET_MB",
     "100",
     [](const Config& c) { return c.fetch_budget_bytes == 100'000'000; },
     {"0", "x"}},
    {"PREFETCH_DEPTH", "2", nullptr, {"-1", "many"}},
    {"PREFETCH_MB", "100", nullptr, {"-1", "many"}},
    {"UPLOAD_BUDGET_MB",
     "100",
     [](const Config& c) { return c.upload_budget_bytes == 100'000'000; },
     {"0", "x"}},
    {"TRANSPORT_BUDGET_MB",
     "100",
     [](const Config& c) { return c.transport_budget_bytes == 100'000'000; },
     {"0", "x"}},
    {"S3_SESSION_TOKEN",
     "token",
     [](const Config& c) { return c.s3_session_token == "token"; },
     {}},
    {"S3_SESSION_TOKEN_FILE",
     "/run/token",
     [](const Config& c) { return c.s3_session_token_file == "/run/token"; },
     {}},
    {"S3_PATH_STYLE", "false", [](const Config& c) { return !c.s3_path_style; }, {"maybe"}},
    {"S3_CA_FILE", "/ca.pem", [](const Config& c) { return c.s3_ca_file == "/ca.pem"; }, {}},
    {"S3_CA_PATH", "/ca", [](const Config& c) { return c.s3_ca_path == "/ca"; }, {}},
    {"S3_MAX_TRANSFERS",
     "7",
     [](const Config& c) { return c.s3_max_transfers == 7; },
     {"0", "1025"}},
    {"S3_RETRY_PERCENT",
     "0",
     [](const Config& c) { return c.s3_retry_percent == 0; },
     {"101", "-1"}},
    {"MAX_CONNECTIONS",
     "1000",
     [](const Config& c) { return c.max_connections == 1000; },
     {"0", "65536"}},
    {"TRUSTED_PROXIES",
     "10.0.0.0/8, ::1",
     [](const Config& c) {
         return c.trusted_proxies == std::vector<std::string>{"10.0.0.0/8", "::1"};
     },
     {"proxy.example", "10.0.0.0/33", "10.0.0.0/", "fd00::/129"}},
    {"PENDING_PER_ADDRESS",
     "1000",
     [](const Config& c) { return c.pending_per_address == 1000; },
     {"0", "65536"}},
    {"DIRECT_DIAL", "no", [](const Config& c) { return !c.direct_dial; }, {"sometimes"}},
    {"TURN_CA_FILE", "/t.pem", [](const Config& c) { return c.turn_ca_file == "/t.pem"; }, {}},
    {"DHT_READ_ONLY", "true", [](const Config& c) { return c.dht_read_only; }, {"maybe"}},
    {"DHT_ANNOUNCE_PACKETS_PER_SECOND",
     "100",
     [](const Config& c) { return c.dht_packets_per_second == 100; },
     {"9", "100001"}},
    {"DHT_UPLOAD_KBPS",
     "100",
     [](const Config& c) { return c.dht_upload_bytes_per_second == 100'000; },
     {"99", "fast"}},
    {"WORKER_HEALTH_TIMEOUT",
     "2500",
     [](const Config& c) { return c.worker_health_timeout.count() == 2500; },
     {"99", "600001", "1s"}},
};

TEST(SettingValuesTest, TakesWhatIsGoodAndSaysWhatIsExpectedOfTheRest) {
    for (const Case& one : kCases) {
        const Loaded good = load({}, {{one.name, one.good}}, {});
        EXPECT_TRUE(good.faults.empty()) << one.name << ": " << good.faults.front();
        EXPECT_TRUE(!one.took || one.took(good.config)) << one.name;
        for (const char* bad : one.bad) {
            const Loaded refused = load({}, {{one.name, bad}}, {});
            ASSERT_EQ(refused.faults.size(), 1U) << one.name << "=" << bad;
            EXPECT_TRUE(refused.faults[0].starts_with(std::string(one.name) + "="));
            EXPECT_NE(refused.faults[0].find("expected"), std::string::npos);
        }
    }
}

}  // namespace
}  // namespace kollator::config
