#include "http/dht_health.h"

#include <gmock/gmock.h>

namespace kollator::http {
namespace {

using ::testing::HasSubstr;

DhtStats healthy() {
    DhtStats stats;
    stats.enabled = true;
    stats.contacts = 120;
    stats.keys = 1000;
    return stats;
}

TEST(DhtHealth, IsOkWhereAllIsAnnouncedInTime) {
    EXPECT_EQ(dht_health(healthy()).status, CheckStatus::kOk);
}

TEST(DhtHealth, WarnsOfLateAnnouncementsAndSaysWhatToRaise) {
    DhtStats stats = healthy();
    stats.late = 7;
    stats.oldest_s = 1800;
    const HealthCheck check = dht_health(stats);
    EXPECT_EQ(check.status, CheckStatus::kWarn);
    EXPECT_THAT(check.detail, HasSubstr("7 of 1000 keys"));
    EXPECT_THAT(check.detail, HasSubstr("not for 1800 s"));
    EXPECT_THAT(check.detail, HasSubstr("DHT_ANNOUNCE_PACKETS_PER_SECOND"));
}

TEST(DhtHealth, WarnsOfWhatCannotBeAnnouncedInTimeBeforeItIsLate) {
    DhtStats stats = healthy();
    stats.packets_per_second = 10;
    stats.packets_needed = 10;
    EXPECT_EQ(dht_health(stats).status, CheckStatus::kOk);
    stats.packets_needed = 12;
    const HealthCheck check = dht_health(stats);
    EXPECT_EQ(check.status, CheckStatus::kWarn);
    EXPECT_THAT(check.detail, HasSubstr("1000 keys within 25 minutes takes 12 packets a second"));
    EXPECT_THAT(check.detail, HasSubstr("the limit is 10: raise DHT_ANNOUNCE_PACKETS_PER_SECOND"));
}

TEST(DhtHealth, WarnsOfALostNetworkBeforeWhatComesOfIt) {
    DhtStats stats = healthy();
    stats.late = 7;
    stats.lost = true;
    stats.silence_s = 301;
    stats.rejoins = 1;
    const HealthCheck check = dht_health(stats);
    EXPECT_EQ(check.status, CheckStatus::kWarn);
    EXPECT_EQ(check.detail, "no node answered for 301 s; bootstrapped anew 1 times");
}

TEST(DhtHealth, WarnsBeforeItHasJoinedAndWhereThereIsNoRoom) {
    DhtStats stats = healthy();
    stats.refused_keys = 3;
    EXPECT_THAT(dht_health(stats).detail, HasSubstr("3 names are not announced"));
    stats.contacts = 0;
    EXPECT_THAT(dht_health(stats).detail, HasSubstr("no node of the DHT is known"));
    stats.listen_error = "0.0.0.0 port 6881: in use";
    EXPECT_THAT(dht_health(stats).detail, HasSubstr("set DHT_PORT"));
    EXPECT_EQ(dht_health(stats).status, CheckStatus::kWarn);
}

}  // namespace
}  // namespace kollator::http
