#include "rtc/mux/host_candidates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kollator::rtc {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;

class HostCandidatesTest : public ::testing::Test {
 protected:
    std::vector<std::string> addresses(HostCandidates& candidates) {
        std::vector<std::string> texts;
        for (const Candidate& each : candidates.at(clock_.now())) {
            texts.push_back(each.address.text());
        }
        return texts;
    }
    HostCandidates make(HostAddressOptions options = {}) {
        return HostCandidates(std::move(options), 8081, [this] {
            ++reads_;
            return machine_;
        });
    }

    ManualClock clock_;
    int reads_ = 0;
    std::vector<IpAddress> machine_{*IpAddress::parse("127.0.0.1")};
};

TEST_F(HostCandidatesTest, FollowTheMachinesAddresses) {
    HostCandidates candidates = make();
    EXPECT_THAT(addresses(candidates), ElementsAre("127.0.0.1:8081"));
    // The network comes up.
    machine_.push_back(*IpAddress::parse("192.0.2.1"));
    clock_.advance(seconds(29));
    EXPECT_THAT(addresses(candidates), ElementsAre("127.0.0.1:8081"));
    clock_.advance(seconds(1));
    EXPECT_THAT(addresses(candidates), ElementsAre("192.0.2.1:8081"));
    EXPECT_EQ(reads_, 2);
}

TEST_F(HostCandidatesTest, AreToldApart) {
    machine_ = {*IpAddress::parse("192.0.2.1"), *IpAddress::parse("192.0.2.2")};
    HostCandidates candidates = make();
    const std::vector<Candidate> all = candidates.at(clock_.now());
    ASSERT_EQ(all.size(), 2u);
    EXPECT_NE(all[0].foundation, all[1].foundation);
    EXPECT_GT(all[0].priority, all[1].priority);
}

TEST_F(HostCandidatesTest, AreWhatIsAnnounced) {
    HostAddressOptions options;
    options.announce = {*IpAddress::parse("203.0.113.7")};
    HostCandidates candidates = make(options);
    EXPECT_THAT(addresses(candidates), ElementsAre("203.0.113.7:8081"));
}

}  // namespace
}  // namespace kollator::rtc
