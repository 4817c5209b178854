#include "config/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

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

TEST(CommandLine, TransfersTakeWhomToAskAndWhat) {
    const CommandLine put = parse_command_line({"put", "a", "b", "--front", "http://f/"}, "1");
    EXPECT_FALSE(put.exits) << put.text;
    EXPECT_EQ(put.command, Command::kPut);
    EXPECT_EQ(put.put.files, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(put.choice.front_url, "http://f");
    EXPECT_TRUE(put.choice.given());
    const CommandLine get =
        parse_command_line({"get", "#x", "-o", "-", "--json", "--force", "--quiet"}, "1");
    EXPECT_FALSE(get.exits) << get.text;
    EXPECT_EQ(get.command, Command::kGet);
    EXPECT_EQ(get.get.link, "#x");
    EXPECT_EQ(get.get.output, "-");
    EXPECT_TRUE(get.get.force && get.choice.json && get.choice.quiet);
    EXPECT_FALSE(get.choice.given());
    EXPECT_EQ(parse_command_line({"health", "--address", "/ip4/x"}, "1").choice.direct_address,
              "/ip4/x");
    EXPECT_EQ(parse_command_line({"stat", "h", "--worker", "https://w"}, "1").choice.worker_url,
              "https://w");
}

TEST(CommandLine, TransfersRefuseWhatDoesNotFit) {
    for (const std::vector<std::string>& arguments :
         {std::vector<std::string>{"put"},
          {"get"},
          {"get", "a", "b"},
          {"put", "a", "--front", "f"},
          {"put", "a", "--front", "http://f", "--worker", "http://w"},
          {"health", "--worker", "http://w", "--address", "/ip4/x"}}) {
        EXPECT_EQ(parse_command_line(arguments, "1").exit_code, kExitUsage) << arguments.size();
    }
}

TEST(CommandLine, TheDoctorTakesAWorkersSettings) {
    const CommandLine line =
        parse_command_line({"doctor", "--port", "9000", "--json", "--read-only"}, "1");
    EXPECT_FALSE(line.exits) << line.text;
    EXPECT_EQ(line.command, Command::kDoctor);
    EXPECT_EQ(line.flags, (Variables{{"PORT", "9000"}}));
    EXPECT_TRUE(line.doctor.json);
    EXPECT_TRUE(line.doctor.read_only);
}

TEST(CommandLine, ListTakesAWorkerAndWhatToShow) {
    const CommandLine plain = parse_command_line({"ls"}, "1");
    EXPECT_FALSE(plain.exits) << plain.text;
    EXPECT_EQ(plain.command, Command::kList);
    EXPECT_EQ(plain.worker_url, "http://127.0.0.1:8081");
    EXPECT_FALSE(plain.list.torrents || plain.list.cached || plain.list.json);
    const CommandLine full = parse_command_line(
        {"ls", "--url", "https://w:1//", "--torrents", "--cached", "--json"}, "1");
    EXPECT_EQ(full.worker_url, "https://w:1");
    EXPECT_TRUE(full.list.torrents && full.list.cached && full.list.json);
    for (const char* url : {"w:1", "ftp://w", "http://w/?a=b", "http://w#x", ""}) {
        EXPECT_EQ(parse_command_line({"ls", "--url", url}, "1").exit_code, kExitUsage) << url;
    }
}

TEST(CommandLine, AFlagStandsOverTheEnvironment) {
    ASSERT_EQ(::setenv("KOLLATOR_URL", "http://there:1", 1), 0);
    const CommandLine plain = parse_command_line({"rm", "a"}, "1");
    const CommandLine list = parse_command_line({"ls", "--url", "http://here:1"}, "1");
    const CommandLine remove = parse_command_line({"rm", "--url", "http://here:1", "a"}, "1");
    ::unsetenv("KOLLATOR_URL");
    EXPECT_EQ(plain.worker_url, "http://there:1");
    EXPECT_EQ(list.worker_url, "http://here:1");
    EXPECT_EQ(remove.worker_url, "http://here:1");
}

TEST(CommandLine, RemoveTakesHashes) {
    const CommandLine line = parse_command_line({"rm", "--torrents", "a", "b"}, "1");
    EXPECT_EQ(line.command, Command::kRemove);
    EXPECT_TRUE(line.remove.torrents);
    EXPECT_EQ(line.remove.hashes, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(parse_command_line({"rm"}, "1").exit_code, kExitUsage);
    EXPECT_THAT(parse_command_line({"rm", "--help"}, "1").text, HasSubstr("Exit codes: 0 done"));
}

TEST(CommandLine, VersionIsPrinted) {
    const CommandLine line = parse_command_line({"--version"}, "1.2.3");
    EXPECT_EQ(line.exit_code, kExitOk);
    EXPECT_THAT(line.text, HasSubstr("kollator 1.2.3"));
}

}  // namespace
}  // namespace kollator::config
