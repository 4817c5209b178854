#include "dht/key_table.h"

#include <gmock/gmock.h>

#include <map>

#include "base/random.h"
#include "crypto/hash.h"
#include "dht/contact_pool.h"
#include "dht/peer_store.h"
#include "dht/testing.h"

namespace kollator::dht {
namespace {

using namespace std::chrono_literals;

InfoHash key_of(unsigned number) {
    return InfoHash(crypto::sha1(as_bytes(std::to_string(number))));
}

TEST(KeyTable, KeepsWhatAMapKeeps) {
    KeyTable table(false);
    std::map<InfoHash, KeySlot> expected;
    SeededRandom random(5);
    for (int i = 0; i < 60'000; ++i) {
        const InfoHash key = key_of(random.u32() % 5000);
        const auto known = expected.find(key);
        ASSERT_EQ(table.find(key), known == expected.end() ? kNoSlot : known->second);
        if (known == expected.end()) {
            expected[key] = table.insert(key);
        } else {
            table.erase(known->second);
            expected.erase(known);
        }
        ASSERT_EQ(table.size(), expected.size());
    }
    for (const auto& [key, slot] : expected) EXPECT_EQ(table.at(slot).key, key);
}

TEST(KeyTable, RemembersContactsOfBothFamilies) {
    for (const bool v6 : {false, true}) {
        KeyTable table(v6);
        const KeySlot slot = table.insert(key_of(1));
        const KeySlot other = table.insert(key_of(2));
        std::vector<Responder> responders;
        for (unsigned i = 0; i < 9; ++i) {
            Endpoint at = test_endpoint(i);
            if (v6) at = *Endpoint::from_text("2a00::" + std::to_string(i), 5);
            responders.push_back({{test_id(1), at}, ""});
        }
        table.set_contacts(slot, responders);
        table.set_contacts(other, {responders[8]});
        const auto contacts = table.contacts(slot);
        ASSERT_EQ(contacts.size(), kClosest);
        EXPECT_EQ(contacts[7], responders[7].contact.at);
        EXPECT_EQ(table.contacts(other).front(), responders[8].contact.at);
    }
}

TEST(KeyTable, AMillionKeysStayWithinTheBytesStated) {
    constexpr unsigned kKeys = 200'000;
    for (const bool v6 : {false, true}) {
        KeyTable table(v6);
        const std::size_t bound = v6 ? KeyTable::kMaxBytesPerKeyV6 : KeyTable::kMaxBytesPerKeyV4;
        for (unsigned i = 1; i <= kKeys; ++i) {
            table.insert(key_of(i));
            if (i > 10'000 && i % 1000 == 0) {
                ASSERT_LE(table.memory_bytes(), i * bound + 1024 * bound) << i;
            }
        }
    }
}

TEST(PeerStore, IsBoundedAndForgets) {
    PeerStoreLimits limits{.max_keys = 10, .max_peers_per_key = 5, .max_peers = 20, .ttl = 30min};
    PeerStore store(AddressPolicy(), limits);
    TimePoint now{1h};
    for (unsigned i = 0; i < 5000; ++i) {
        now += 1ms;
        store.add(now, key_of(i % 100), test_endpoint(i));
        ASSERT_LE(store.stats().peers, 20U);
        ASSERT_LE(store.stats().keys, 10U);
    }
    for (unsigned i = 0; i < 100; ++i) store.add(now, key_of(1), test_endpoint(i));
    EXPECT_EQ(store.peers(now, key_of(1)).size(), 5U);
    EXPECT_EQ(store.peers(now, key_of(1)).back(), test_endpoint(99));
    store.add(now + 20min, key_of(1), test_endpoint(99));
    EXPECT_THAT(store.peers(now + 31min, key_of(1)), ::testing::ElementsAre(test_endpoint(99)));
    EXPECT_TRUE(store.peers(now + 51min, key_of(1)).empty());
    EXPECT_EQ(store.stats().peers, 0U);
    store.add(now, key_of(1), *Endpoint::from_text("127.0.0.1", 5));
    EXPECT_TRUE(store.peers(now, key_of(1)).empty()) << "nobody is sent to himself";
}

TEST(ContactPool, GivesNeighboursAndIsBounded) {
    ContactPool pool;
    for (unsigned i = 0; i < 3 * ContactPool::kMaxContacts; ++i) {
        pool.add({NodeId(key_of(i).bytes()), test_endpoint(i)});
        pool.add({NodeId(key_of(i).bytes()), test_endpoint(i)});
    }
    EXPECT_EQ(pool.size(), ContactPool::kMaxContacts);
    std::vector<Contact> near;
    pool.append_near(key_of(1), near);
    ASSERT_EQ(near.size(), 12U);
    for (const Contact& contact : near) {
        EXPECT_LE(distance_of(key_of(1), contact.id)[0], 1) << "of 8,192, a few in 256 are as near";
    }
    std::vector<Contact> none;
    ContactPool().append_near(key_of(1), none);
    EXPECT_TRUE(none.empty());
}

}  // namespace
}  // namespace kollator::dht
