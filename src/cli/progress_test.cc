#include "cli/progress.h"

#include <gtest/gtest.h>

namespace kollator::cli {
namespace {

TEST(ProgressTest, TellsHowFarHowFastAndHowLong) {
    EXPECT_EQ(progress_line("a.bin", {100'000'000, 45'000'000, 0}, 5e6, 100),
              "a.bin   45% [#########...........] 45.0/100.0 MB  5.0 MB/s  11 s left");
    EXPECT_EQ(progress_line("a.bin", {100'000'000, 100'000'000, 0}, 5e6, 100),
              "a.bin  100% [####################] 100.0/100.0 MB");
    EXPECT_EQ(progress_line("a.bin", {100'000'000, 0, 0}, 0, 100),
              "a.bin    0% [....................] 0.0/100.0 MB");
}

TEST(ProgressTest, IsNeverWiderThanTheTerminalNorControlsIt) {
    const std::string line = progress_line("a\x1b[2J\tb\n", {10, 5, 0}, 1, 100);
    EXPECT_TRUE(line.starts_with("a?[2J?b?  ")) << line;
    EXPECT_EQ(progress_line(std::string(200, 'x'), {10, 5, 0}, 1, 40).size(), 40U);
}

TEST(ProgressTest, AnEmptyFileIsDoneAndMoreThanAllIsAll) {
    EXPECT_NE(progress_line("e", {0, 0, 0}, 0, 80).find("100%"), std::string::npos);
    EXPECT_NE(progress_line("e", {10, 20, 0}, 0, 80).find("100% [####################]"),
              std::string::npos);
}

TEST(ProgressTest, NothingIsDrawnWhereThereIsNoTerminal) {
    std::FILE* file = std::tmpfile();
    ASSERT_NE(file, nullptr);
    ProgressBar bar(file, true);
    bar.begin("a", TimePoint());
    bar.update({10, 5, 0}, TimePoint() + std::chrono::seconds(5));
    bar.clear();
    EXPECT_EQ(std::ftell(file), 0);
    std::fclose(file);
}

}  // namespace
}  // namespace kollator::cli
