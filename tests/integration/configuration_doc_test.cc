#include <gtest/gtest.h>

#include <cstdlib>

#include "base/file_system.h"
#include "config/settings.h"

namespace kollator::config {
namespace {

TEST(ConfigurationDoc, IsWhatTheTableSays) {
    constexpr std::size_t kMaxDocBytes = 1 << 20;
    const auto doc =
        read_file(posix_file_system(),
                  std::filesystem::path(__FILE__).parent_path() / "../../docs/configuration.md",
                  kMaxDocBytes);
    ASSERT_TRUE(doc);
    EXPECT_NE(as_text(*doc).find(settings_markdown()), std::string_view::npos)
        << "run `kollator settings` and put its output into docs/configuration.md";
}

}  // namespace
}  // namespace kollator::config
