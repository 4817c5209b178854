#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/config.h"

namespace kollator::config {

/// Which subcommands read a setting.
enum Role : unsigned { kWorker = 1, kFront = 2, kBoth = 3 };

/// One environment variable: its name, meaning, default, and how it fills the Config.
struct Setting {
    std::string name;          ///< "CACHE_SIZE_MB"; as a flag "--cache-size-mb"
    std::string default_text;  ///< as the operator would write it; empty: none
    std::string expected;      ///< what a value must be: "a port number, 0 to 65535"
    std::string help;          ///< one sentence
    Role role = kBoth;
    bool secret = false;    ///< never shown, and no flag (a command line is public)
    bool reserved = false;  ///< checked now, used by a later version
    /// Parses and sets; false where the value is not what `expected` says.
    std::function<bool(Config&, const std::string&)> set;

    std::string flag() const;
};

/// All settings, in the order in which the docs show them.
const std::vector<Setting>& settings();

using Variables = std::map<std::string, std::string>;

struct Loaded {
    Config config;
    std::vector<std::string> faults;   ///< a line for each wrong value or combination
    std::vector<std::string> notices;  ///< what was given but is not used (yet)
};

/// The defaults, then `file`, then `environment`, then `flags`, later ones over earlier ones. An
/// empty value counts as not given. Every fault is found, not just the first.
Loaded load(const Variables& file, const Variables& environment, const Variables& flags);

/// The form of a configuration file: NAME=value lines, `#` comments, optional quotes around a
/// value. Unknown names are faults (`file_name:line: …`), so that a typing error is not silently
/// ignored.
Result<Variables> parse_file(const std::string& text, const std::string& file_name);

/// The table of docs/configuration.md.
std::string settings_markdown();

}  // namespace kollator::config
