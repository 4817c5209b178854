#include "chunk/denylist_file.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>

#include "tests/support/faulty_file_system.h"
#include "tests/support/temp_folder.h"

namespace kollator::chunk {
namespace {

constexpr std::chrono::seconds kPatience{30};
const std::string kOne(64, '1');
const std::string kTwo(64, '2');

class DenylistFileTest : public ::testing::Test {
 protected:
    DenylistFileTest() {
        fs_.set_hook([this](testing_support::FileOperation operation,
                            const std::filesystem::path&) -> std::optional<Error> {
            if (!broken_ || operation != testing_support::FileOperation::kRead) return std::nullopt;
            return make_error(ErrorCode::kUnavailable, "broken");
        });
    }
    void write(const std::filesystem::path& path, const std::string& text) {
        std::ofstream(path, std::ios::trunc) << text;
    }
    Status open() {
        file_ = std::make_unique<DenylistFile>(loop_, jobs_, fs_, path_,
                                               [this](const DenylistPtr& list) {
                                                   list_ = list;
                                                   ++changes_;
                                               });
        return file_->load();
    }
    bool wait(const std::function<bool()>& done) { return loop_.run_until(done, kPatience); }
    bool wait_size(std::size_t size) {
        return wait([&] { return list_->size() == size; });
    }

    testing_support::TempFolder folder_;
    std::atomic<bool> broken_{false};
    testing_support::FaultyFileSystem fs_;
    const std::filesystem::path path_ = folder_.path() / "denylist";
    EventLoop loop_;
    JobPool jobs_{2};
    DenylistPtr list_;
    int changes_ = 0;
    std::unique_ptr<DenylistFile> file_;
};

TEST_F(DenylistFileTest, IsInForceWhenItHasBeenLoaded) {
    write(path_, kOne + "\nwrong\n");
    ASSERT_TRUE(open());
    EXPECT_EQ(list_->size(), 1U);
    EXPECT_EQ(file_->state().hashes, 1U);
    EXPECT_EQ(file_->state().fault_count, 1U);
    EXPECT_EQ(file_->state().faults.at(0).line, 2U);
}

TEST_F(DenylistFileTest, AMissingFileAtTheStartIsAnError) {
    EXPECT_EQ(open().error().code, ErrorCode::kNotFound);
    std::filesystem::create_directory(path_);
    EXPECT_EQ(open().error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(changes_, 0);
}

TEST_F(DenylistFileTest, SeesAppendedReplacedAndRemovedLines) {
    write(path_, kOne + "\n");
    ASSERT_TRUE(open());
    std::ofstream(path_, std::ios::app) << kTwo << "\n";
    ASSERT_TRUE(wait_size(2));
    write(folder_.path() / "beside", "# nothing\n");
    std::filesystem::rename(folder_.path() / "beside", path_);
    ASSERT_TRUE(wait_size(0));
    EXPECT_EQ(changes_, 3);
}

/// As orchestrators change a mounted file: the name stays a link, what it leads to changes.
TEST_F(DenylistFileTest, SeesALinkThatPointsElsewhere) {
    for (const char* name : {"old", "new"}) {
        std::filesystem::create_directory(folder_.path() / name);
        write(folder_.path() / name / "list",
              name == std::string("old") ? kOne : kOne + "\n" + kTwo);
    }
    std::filesystem::create_symlink("old", folder_.path() / "now");
    std::filesystem::create_symlink("now/list", path_);
    ASSERT_TRUE(open());
    EXPECT_EQ(list_->size(), 1U);
    std::filesystem::create_symlink("new", folder_.path() / "next");
    std::filesystem::rename(folder_.path() / "next", folder_.path() / "now");
    ASSERT_TRUE(wait_size(2));
}

TEST_F(DenylistFileTest, KeepsTheLastGoodListWhileTheFileCannotBeRead) {
    write(path_, kOne + "\n");
    ASSERT_TRUE(open());
    std::filesystem::remove(path_);
    ASSERT_TRUE(wait([&] { return file_->state().error.has_value(); }));
    EXPECT_EQ(file_->state().error->code, ErrorCode::kNotFound);
    EXPECT_EQ(list_->size(), 1U);

    broken_ = true;
    write(path_, kTwo + "\n" + kOne + "\n");
    ASSERT_TRUE(wait([&] { return file_->state().error->detail == "broken"; }));
    EXPECT_EQ(list_->size(), 1U);
    EXPECT_EQ(changes_, 1);
}

TEST_F(DenylistFileTest, IsGoodAgainWhenTheFileCameBack) {
    write(path_, kOne + "\n");
    ASSERT_TRUE(open());
    std::filesystem::remove(path_);
    ASSERT_TRUE(wait([&] { return file_->state().error.has_value(); }));
    write(path_, kTwo + "\n" + kOne + "\n");
    ASSERT_TRUE(wait_size(2));
    EXPECT_FALSE(file_->state().error);
}

TEST_F(DenylistFileTest, ReadsItAnewWhenTold) {
    write(path_, kOne + "\n");
    ASSERT_TRUE(open());
    file_->reload();
    file_->reload();
    ASSERT_TRUE(wait([&] { return changes_ == 2; }));
    write(path_, "");
    ASSERT_TRUE(wait_size(0));  // and watches on
}

TEST_F(DenylistFileTest, MayGoWhileItReads) {
    write(path_, kOne + "\n");
    ASSERT_TRUE(open());
    file_->reload();
    file_.reset();
    int turns = 0;
    loop_.post([&] { ++turns; });
    ASSERT_TRUE(wait([&] { return turns > 0 && jobs_.queued() == 0; }));
}

}  // namespace
}  // namespace kollator::chunk
