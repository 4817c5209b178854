#include "config/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/parse.h"

namespace kollator::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

TEST(Settings, DefaultsAreGoodAndTyped) {
    const Loaded loaded = load({}, {}, {});
    EXPECT_THAT(loaded.faults, IsEmpty());
    EXPECT_THAT(loaded.notices, IsEmpty());
    EXPECT_EQ(loaded.config.port, 8081);
    EXPECT_EQ(loaded.config.cache_size_bytes, 300'000'000U);
    EXPECT_EQ(loaded.config.max_chunk_bytes, 5'242'880U);
    EXPECT_FALSE(loaded.config.uses_s3());
}

TEST(Settings, EveryVariableOfTheSpecificationIsRead) {
    const Loaded loaded = load({},
                               {{"PORT", "1"},
                                {"HOST", "::1"},
                                {"WORKER_ID", "worker-001"},
                                {"S3_ENDPOINT", "https://s3.example.net:9000"},
                                {"S3_BUCKET", "files"},
                                {"S3_ACCESS_KEY", "a"},
                                {"S3_SECRET_KEY", "b"},
                                {"S3_REGION", "eu-1"},
                                {"CACHE_SIZE_MB", "10"},
                                {"CACHE_PATH", "/c"},
                                {"LRU_MAX_AGE_HOURS", "3"},
                                {"DHT_BOOTSTRAP_NODES", "router.example.net:6881, [::1]:1"},
                                {"DHT_PORT", "7000"},
                                {"STUN_SERVERS", "stun:a.example:3478,b.example"},
                                {"TURN_SERVERS", "turn:u:p@c.example:3478?transport=tcp"},
                                {"WORKER_SHARED_KEY_PATH", "/k"},
                                {"DEBUG", "kollator:*"}},
                               {});
    EXPECT_THAT(loaded.faults, IsEmpty());
    EXPECT_EQ(loaded.config.port, 1);
    EXPECT_EQ(loaded.config.host, "::1");
    EXPECT_EQ(loaded.config.worker_id, "worker-001");
    EXPECT_EQ(loaded.config.s3_endpoint, "https://s3.example.net:9000");
    EXPECT_EQ(loaded.config.s3_bucket, "files");
    EXPECT_EQ(loaded.config.s3_access_key, "a");
    EXPECT_EQ(loaded.config.s3_secret_key, "b");
    EXPECT_EQ(loaded.config.s3_region, "eu-1");
    EXPECT_EQ(loaded.config.cache_size_bytes, 10'000'000U);
    EXPECT_EQ(loaded.config.cache_path, "/c");
    EXPECT_EQ(loaded.config.lru_max_age, std::chrono::hours(3));
    EXPECT_THAT(loaded.config.dht_bootstrap_nodes,
                ElementsAre("router.example.net:6881", "[::1]:1"));
    EXPECT_EQ(loaded.config.dht_port, 7000);
    EXPECT_THAT(loaded.config.stun_servers, ElementsAre("stun:a.example:3478", "stun:b.example"));
    EXPECT_THAT(loaded.config.turn_servers,
                ElementsAre(TurnServer{"turn:c.example:3478?transport=tcp", "u", "p"}));
    EXPECT_EQ(loaded.config.shared_key_path, "/k");
    EXPECT_EQ(loaded.config.debug, "kollator:*");
    EXPECT_THAT(loaded.notices, IsEmpty());
    EXPECT_TRUE(loaded.config.uses_dht()) << "DHT_ENABLED=auto, and there is a way in";
    EXPECT_FALSE(load({}, {}, {}).config.uses_dht());
}

TEST(Settings, EachFaultIsOneLineThatNamesVariableValueAndExpectation) {
    const Loaded loaded =
        load({}, {{"PORT", "65536"}, {"CACHE_SIZE_MB", "many"}, {"HOST", "example.net"}}, {});
    EXPECT_THAT(loaded.faults,
                UnorderedElementsAre("PORT=\"65536\": expected a port number, 0 to 65535 (0: any "
                                     "free one)",
                                     "CACHE_SIZE_MB=\"many\": expected megabytes, 1 to 1000000000",
                                     "HOST=\"example.net\": expected a numeric IPv4 or IPv6 "
                                     "address"));
}

TEST(Settings, ASecretIsNeverShown) {
    const Loaded loaded = load({}, {{"ADMIN_TOKEN", "tooshort"}}, {});
    ASSERT_EQ(loaded.faults.size(), 1U);
    EXPECT_THAT(loaded.faults[0], ::testing::Not(HasSubstr("tooshort")));
}

TEST(Settings, LaterSourcesWin) {
    const Loaded loaded = load({{"PORT", "1"}, {"DHT_PORT", "5"}},
                               {{"PORT", "2"}, {"DHT_PORT", ""}}, {{"PORT", "3"}});
    EXPECT_EQ(loaded.config.port, 3);
    EXPECT_EQ(loaded.config.dht_port, 5);
}

TEST(Settings, AwsNamesAreReadWhereOursAreNotGiven) {
    const Loaded loaded = load({},
                               {{"AWS_ENDPOINT_URL", "http://aws.example"},
                                {"AWS_ENDPOINT_URL_S3", "http://s3.example"},
                                {"S3_BUCKET", "files"},
                                {"AWS_ACCESS_KEY_ID", "a"},
                                {"AWS_SECRET_ACCESS_KEY", "b"},
                                {"S3_REGION", "ours"},
                                {"AWS_REGION", "theirs"}},
                               {});
    EXPECT_THAT(loaded.faults, IsEmpty());
    EXPECT_EQ(loaded.config.s3_endpoint, "http://s3.example");
    EXPECT_EQ(loaded.config.s3_access_key, "a");
    EXPECT_EQ(loaded.config.s3_region, "ours");
}

TEST(Settings, AwsCredentialsAreNotMixedWithOurs) {
    const Loaded loaded = load({},
                               {{"S3_ENDPOINT", "http://s3.example"},
                                {"S3_BUCKET", "files"},
                                {"S3_ACCESS_KEY_FILE", "/run/access"},
                                {"S3_SECRET_KEY_FILE", "/run/secret"},
                                {"AWS_ACCESS_KEY_ID", "theirs"},
                                {"AWS_SECRET_ACCESS_KEY", "theirs"},
                                {"AWS_SESSION_TOKEN", "theirs"},
                                {"AWS_DEFAULT_REGION", "eu-1"},
                                {"AWS_CA_BUNDLE", "/ca.pem"}},
                               {});
    EXPECT_THAT(loaded.faults, IsEmpty());
    EXPECT_EQ(loaded.config.s3_access_key_file, "/run/access");
    EXPECT_EQ(loaded.config.s3_access_key, "");
    EXPECT_EQ(loaded.config.s3_session_token, "");
    EXPECT_EQ(loaded.config.s3_region, "eu-1");
    EXPECT_EQ(loaded.config.s3_ca_file, "/ca.pem");
}

TEST(Settings, AwsCredentialFilesAreRead) {
    const Loaded loaded = load({},
                               {{"S3_ENDPOINT", "http://s3.example"},
                                {"S3_BUCKET", "files"},
                                {"AWS_ACCESS_KEY_ID_FILE", "/run/access"},
                                {"AWS_SECRET_ACCESS_KEY_FILE", "/run/secret"},
                                {"AWS_SESSION_TOKEN_FILE", "/run/token"}},
                               {});
    EXPECT_THAT(loaded.faults, IsEmpty());
    EXPECT_EQ(loaded.config.s3_secret_key_file, "/run/secret");
    EXPECT_EQ(loaded.config.s3_session_token_file, "/run/token");
}

TEST(Settings, CredentialsStandInAVariableOrAFileAndComeInPairs) {
    const Variables base{{"S3_ENDPOINT", "http://s3.example"}, {"S3_BUCKET", "files"}};
    Variables both = base;
    both.insert({{"S3_ACCESS_KEY", "a"}, {"S3_SECRET_KEY", "b"}, {"S3_SECRET_KEY_FILE", "/f"}});
    EXPECT_THAT(load({}, both, {}).faults, ElementsAre(HasSubstr("S3_SECRET_KEY_FILE")));
    Variables half = base;
    half.insert({"S3_ACCESS_KEY_FILE", "/f"});
    EXPECT_THAT(load({}, half, {}).faults, ElementsAre(HasSubstr("expected both or neither")));
    Variables mixed = base;
    mixed.insert({{"S3_ACCESS_KEY", "a"}, {"S3_SECRET_KEY_FILE", "/f"}});
    EXPECT_THAT(load({}, mixed, {}).faults, IsEmpty());
}

TEST(Settings, EgressIsCountedInDecimalUnits) {
    const Loaded loaded =
        load({}, {{"S3_EGRESS_BUDGET_GB", "1000"}, {"S3_EGRESS_LIMITED_KBPS", "250"}}, {});
    EXPECT_EQ(loaded.config.s3_egress_budget_bytes, 1'000'000'000'000U);
    EXPECT_EQ(loaded.config.s3_egress_limited_bytes_per_second, 250'000U);
    EXPECT_EQ(loaded.config.s3_retry_percent, 10U);
    EXPECT_EQ(loaded.config.s3_breaker_failures, 5U);
}

TEST(Settings, ValuesThatContradictEachOtherAreFaults) {
    EXPECT_THAT(load({}, {{"S3_ENDPOINT", "http://s3.example"}}, {}).faults,
                ElementsAre(HasSubstr("S3_BUCKET")));
    EXPECT_THAT(load({}, {{"S3_BUCKET", "files"}}, {}).faults,
                ElementsAre(HasSubstr("S3_ENDPOINT")));
    EXPECT_THAT(load({}, {{"CACHE_SIZE_MB", "1"}}, {}).faults,
                ElementsAre(HasSubstr("CACHE_SIZE_MB")));
    EXPECT_THAT(load({}, {{"DENYLIST_PURGE_STORE", "yes"}}, {}).faults,
                ElementsAre(HasSubstr("DENYLIST_PATH")));
}

TEST(Settings, DaysAreKeptAsHours) {
    const Loaded loaded =
        load({}, {{"EXPIRE_AFTER_DAYS", "30"}, {"S3_MIN_STORAGE_DAYS", "90"}}, {});
    EXPECT_THAT(loaded.faults, IsEmpty());
    EXPECT_EQ(loaded.config.expire_after, std::chrono::hours(720));
    EXPECT_EQ(loaded.config.min_storage, std::chrono::hours(2160));
    EXPECT_THAT(load({}, {{"S3_MIN_STORAGE_DAYS", "3651"}}, {}).faults,
                ElementsAre(HasSubstr("S3_MIN_STORAGE_DAYS")));
}

TEST(ConfigFile, TakesCommentsAndQuotesAndRefusesUnknownNames) {
    const auto good = parse_file("# a comment\n\nPORT=1\n S3_BUCKET = \n", "f");
    EXPECT_FALSE(good);  // "S3_BUCKET " with a space is no name
    const auto quoted = parse_file("PORT=1\r\nDATA_DIR=\"/a b\"\n", "f");
    ASSERT_TRUE(quoted);
    EXPECT_EQ(quoted->at("DATA_DIR"), "/a b");
    const auto unknown = parse_file("PORT=1\nPROT=2\n", "f.conf");
    ASSERT_FALSE(unknown);
    EXPECT_THAT(unknown.error().detail, HasSubstr("f.conf:2: PROT is no setting"));
    EXPECT_FALSE(parse_file("PORT", "f"));
}

TEST(Parse, HostsUrlsAndServers) {
    EXPECT_TRUE(is_url("http://[::1]:80/x", {"http"}));
    EXPECT_FALSE(is_url("http://user@host", {"http"}));
    EXPECT_FALSE(is_url("http://host:0", {"http"}));
    EXPECT_FALSE(is_url("http://ho st", {"http"}));
    EXPECT_FALSE(is_url("ftp://host", {"http"}));
    EXPECT_TRUE(is_host_port("a:1"));
    EXPECT_FALSE(is_host_port("a"));
    EXPECT_FALSE(parse_stun_server("turn:a"));
    EXPECT_FALSE(parse_turn_server("turn:user@host"));
    EXPECT_FALSE(parse_turn_server("turn:host?transport=sctp"));
    EXPECT_EQ(parse_turn_server("turns:u:p@ss@host")->credential, "p@ss");
    EXPECT_TRUE(is_fellow_address("https://worker2.example:8081"));
    EXPECT_TRUE(is_fellow_address("/ip4/10.0.0.2/udp/8081/webrtc-direct/certhash/uEiA"));
    EXPECT_FALSE(is_fellow_address("/ip4/10.0.0.2/udp/8081"));
    EXPECT_FALSE(is_fellow_address("ws://worker2.example"));
    EXPECT_FALSE(is_worker_id("a:b"));
    EXPECT_FALSE(is_worker_id(std::string(65, 'a')));
}

TEST(SettingsMarkdown, NamesEverySetting) {
    const std::string table = settings_markdown();
    for (const Setting& setting : settings())
        EXPECT_THAT(table, HasSubstr("`" + setting.name + "`"));
}

}  // namespace
}  // namespace kollator::config
