#include <gtest/gtest.h>

#include <filesystem>

#include "base/file_system.h"
#include "config/settings.h"

namespace kollator::config {
namespace {

TEST(ConfigurationDoc, IsWhatTheTableSays) {
    constexpr std::size_t kMaxDocBytes = 1 << 20;
    const char* source = std::getenv("KOLLATOR_SOURCE_DIR");
    ASSERT_NE(source, nullptr) << "run it by ctest";
    const auto doc = read_file(
        posix_file_system(), std::filesystem::path(source) / "docs/configuration.md", kMaxDocBytes);
    ASSERT_TRUE(doc.ok()) << doc.error().detail;
    EXPECT_NE(as_text(*doc).find(settings_markdown()), std::string_view::npos)
        << "run `kollator settings` and put its output into docs/configuration.md";
}

}  // namespace
}  // namespace kollator::config
