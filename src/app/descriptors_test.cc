#include "app/descriptors.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>

namespace kollator::app {
namespace {

TEST(Descriptors, TheSoftLimitIsRaisedToTheHardOne) {
    rlimit before{};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    const rlim_t most = std::min<rlim_t>(before.rlim_max, kMaxDescriptors);
    const rlimit low{std::min<rlim_t>(most - 1, 256), before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);

    EXPECT_EQ(raise_descriptor_limit(), most);
    rlimit after{};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &after), 0);
    EXPECT_EQ(after.rlim_cur, most);
    EXPECT_EQ(after.rlim_max, before.rlim_max);
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST(Descriptors, TheCacheTakesAPartOfThem) {
    EXPECT_EQ(cached_files_kept_open(1024), 128U);
    EXPECT_EQ(cached_files_kept_open(kMaxDescriptors), 2048U);
}

}  // namespace
}  // namespace kollator::app
