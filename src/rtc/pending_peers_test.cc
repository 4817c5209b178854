#include "rtc/pending_peers.h"

#include <gtest/gtest.h>

namespace kollator::rtc {
namespace {

IpAddress ip(std::string_view text) {
    return *IpAddress::parse(text);
}

const IpAddress kFirst = ip("192.0.2.1");
const IpAddress kSecond = ip("192.0.2.2");

TEST(PendingPeers, GiveWayTheOldestUnprovedFirst) {
    PendingPeers pending(3, 10);
    pending.add(1, kFirst);
    pending.add(2, kFirst);
    pending.add(3, kSecond);
    pending.set_proved(1);
    const PendingPeers::Room room = pending.make_room(kSecond);
    EXPECT_TRUE(room.there);
    EXPECT_EQ(room.gives_way, 2u);
    pending.add(4, kSecond);
    EXPECT_EQ(pending.make_room(kFirst).gives_way, 3u);
    EXPECT_EQ(pending.size(), 2u);
}

TEST(PendingPeers, AreRefusedWhereAllOthersHaveProvedTheirAddress) {
    PendingPeers pending(1, 10);
    pending.add(1, kFirst);
    pending.set_proved(1);
    EXPECT_FALSE(pending.make_room(kSecond).there);
    EXPECT_TRUE(pending.remove(1));
    EXPECT_FALSE(pending.remove(1));
    const PendingPeers::Room room = pending.make_room(kSecond);
    EXPECT_TRUE(room.there);
    EXPECT_FALSE(room.gives_way);
}

TEST(PendingPeers, OfOneSourceGiveWayToEachOther) {
    PendingPeers pending(10, 2);
    pending.add(1, kSecond);
    pending.add(2, kFirst);
    pending.add(3, kFirst);
    EXPECT_EQ(pending.make_room(kFirst).gives_way, 2u);
    pending.add(4, kFirst);
    pending.set_proved(3);
    pending.set_proved(4);
    EXPECT_FALSE(pending.make_room(kFirst).there);
    EXPECT_TRUE(pending.make_room(kSecond).there);
}

TEST(PendingPeers, CountAnIpv6NetworkAsOneSource) {
    PendingPeers pending(10, 1);
    pending.add(1, ip("2001:db8::1"));
    EXPECT_EQ(pending.make_room(ip("2001:db8::2")).gives_way, 1u);
    pending.add(2, ip("2001:db8::2"));
    EXPECT_FALSE(pending.make_room(ip("2001:db8:0:1::1")).gives_way);
}

}  // namespace
}  // namespace kollator::rtc
