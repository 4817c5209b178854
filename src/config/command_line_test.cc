#include "config/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kollator::config {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(CommandLine, FlagsBecomeSettings) {
    const CommandLine line =
        parse_command_line({"worker", "--port", "9000", "--cache-size-mb=5", "--config", "f"}, "1");
    EXPECT_FALSE(line.exits) << line.text;
    EXPECT_EQ(line.command, Command::kWorker);
    EXPECT_EQ(line.flags, (Variables{{"PORT", "9000"}, {"CACHE_SIZE_MB", "5"}}));
    EXPECT_EQ(line.config_file, "f");
}

TEST(CommandLine, WrongUseExitsWithTwoAndSaysWhy) {
    for (const std::vector<std::string>& arguments :
         {std::vector<std::string>{}, {"nothing"}, {"worker", "--prot", "1"}, {"keygen"}}) {
        const CommandLine line = parse_command_line(arguments, "1");
        EXPECT_TRUE(line.exits);
        EXPECT_EQ(line.exit_code, kExitUsage);
        EXPECT_FALSE(line.text.empty());
    }
}

TEST(CommandLine, HelpOfEachSubcommandNamesItsSettings) {
    const CommandLine worker = parse_command_line({"worker", "--help"}, "1");
    EXPECT_TRUE(worker.exits);
    EXPECT_EQ(worker.exit_code, kExitOk);
    EXPECT_THAT(worker.text, HasSubstr("--cache-size-mb"));
    EXPECT_THAT(worker.text, Not(HasSubstr("--front-port")));
    EXPECT_THAT(worker.text, Not(HasSubstr("--s3-secret-key ")));
    const CommandLine front = parse_command_line({"front", "--help"}, "1");
    EXPECT_THAT(front.text, HasSubstr("--front-port"));
    EXPECT_THAT(front.text, Not(HasSubstr("--cache-size-mb")));
}

TEST(CommandLine, VersionIsPrinted) {
    const CommandLine line = parse_command_line({"--version"}, "1.2.3");
    EXPECT_EQ(line.exit_code, kExitOk);
    EXPECT_THAT(line.text, HasSubstr("kollator 1.2.3"));
}

}  // namespace
}  // namespace kollator::config
