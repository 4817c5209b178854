#include "app/data_dir.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace kollator::app {
namespace {

class DataDirTest : public ::testing::Test {
 protected:
    void TearDown() override { std::filesystem::remove_all(path_); }

    FileSystem& fs_ = posix_file_system();
    const std::filesystem::path path_ = std::filesystem::temp_directory_path() /
                                        ("kollator-data-dir-test-" + std::to_string(::getpid()));
    SeededRandom random_{1};
};

TEST_F(DataDirTest, KeepsTheWorkersName) {
    std::string id;
    {
        auto first = DataDir::open(fs_, path_);
        ASSERT_TRUE(first);
        id = *first->worker_id(random_);
    }
    auto second = DataDir::open(fs_, path_);
    ASSERT_TRUE(second);
    EXPECT_EQ(*second->worker_id(random_), id);
}

TEST_F(DataDirTest, BelongsToOneProcessAtATime) {
    auto first = DataDir::open(fs_, path_);
    ASSERT_TRUE(first);
    EXPECT_EQ(DataDir::open(fs_, path_).error().code, ErrorCode::kLimit);
}

TEST_F(DataDirTest, RefusesANameThatIsNone) {
    auto dir = DataDir::open(fs_, path_);
    ASSERT_TRUE(dir);
    ASSERT_TRUE(write_file_durably(fs_, path_ / "worker.id", as_bytes("a b\n")));
    EXPECT_EQ(dir->worker_id(random_).error().code, ErrorCode::kInvalid);
}

TEST_F(DataDirTest, SaysWhenTheFolderCannotBeMade) {
    ASSERT_TRUE(write_file_durably(fs_, path_.string() + ".file", {}));
    EXPECT_FALSE(DataDir::open(fs_, path_.string() + ".file/data"));
    std::filesystem::remove(path_.string() + ".file");
}

}  // namespace
}  // namespace kollator::app
