#include "config/settings.h"

namespace kollator::config {

std::string settings_markdown() {
    std::string out =
        "| variable | flag | default | expected | meaning | read by |\n"
        "| --- | --- | --- | --- | --- | --- |\n";
    for (const Setting& setting : settings()) {
        const char* role = setting.role == kBoth     ? "worker, front"
                           : setting.role == kWorker ? "worker"
                                                     : "front";
        std::string expected = setting.expected;
        for (std::size_t at = 0; (at = expected.find('|', at)) != std::string::npos; at += 2) {
            expected.insert(at, "\\");
        }
        out += "| `" + setting.name + "` | " + (setting.secret ? "" : "`" + setting.flag() + "`") +
               " | " + (setting.default_text.empty() ? "" : "`" + setting.default_text + "`") +
               " | " + expected + " | " + setting.help +
               (setting.reserved ? " Checked, but not used yet." : "") + " | " + role + " |\n";
    }
    return out;
}

}  // namespace kollator::config
