#include "crypto/shared_key.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kollator::crypto {
namespace {

class SharedKeyTest : public ::testing::Test {
 protected:
    void SetUp() override { ASSERT_TRUE(fs_.make_directories(folder_)); }
    void TearDown() override { std::filesystem::remove_all(folder_); }

    FileSystem& fs_ = posix_file_system();
    const std::filesystem::path folder_ = std::filesystem::temp_directory_path() /
                                          ("kollator-key-test-" + std::to_string(::getpid()));
    const std::filesystem::path path_ = folder_ / "worker.key";
    SeededRandom random_{1};
};

TEST_F(SharedKeyTest, AWrittenKeyIsReadBack) {
    ASSERT_TRUE(write_new_shared_key(fs_, random_, path_));
    const auto key = load_shared_key(fs_, path_);
    ASSERT_TRUE(key);
    EXPECT_NE(*key, SharedKey{});
}

TEST_F(SharedKeyTest, AKeyThatOthersCanReadIsRefused) {
    ASSERT_TRUE(write_new_shared_key(fs_, random_, path_));
    ASSERT_EQ(::chmod(path_.c_str(), 0640), 0);
    EXPECT_EQ(load_shared_key(fs_, path_).error().code, ErrorCode::kInvalid);
}

TEST_F(SharedKeyTest, AKeyOfAnotherLengthIsRefused) {
    for (const std::size_t length : {0U, 31U, 33U, 4096U}) {
        ASSERT_TRUE(write_file_durably(fs_, path_, Bytes(length, 1), 0600));
        EXPECT_EQ(load_shared_key(fs_, path_).error().code, ErrorCode::kInvalid) << length;
    }
    EXPECT_EQ(load_shared_key(fs_, folder_ / "none").error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace kollator::crypto
