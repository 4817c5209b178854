#include "config/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <sstream>

namespace kollator::config {
namespace {

struct Description {
    Command command;
    const char* name;
    unsigned roles;  // whose settings are its flags; 0: none
    const char* summary;
    const char* details;
};

constexpr Description kDescriptions[] = {
    {Command::kWorker, "worker", Role::kWorker, "Run a worker",
     "Stores chunks, caches them, and serves them to browsers over WebRTC data channels.\n"
     "Registers with every front of FRONT_URLS. Ends on SIGINT or SIGTERM."},
    {Command::kFront, "front", Role::kFront, "Run a front server",
     "Serves the web page, relays signaling, and names a worker to each client.\n"
     "Admits the workers that know the shared key (WORKER_SHARED_KEY_PATH). Keeps no state."},
    {Command::kDev, "dev", Role::kBoth, "Run a front and a worker in one process",
     "Everything with embedded defaults: no account, no S3, no configuration. The objects, the\n"
     "cache, the key and the certificate are kept in DATA_DIR. Prints the web page's address."},
    {Command::kKeygen, "keygen", 0, "Make the key that workers and fronts share",
     "Writes 32 random bytes to FILE, readable by its owner only. An existing file is kept,\n"
     "unless --force is given."},
    {Command::kSettings, "settings", 0, "Print the table of all settings",
     "As Markdown: variable, flag, default, what is expected, meaning."},
};

constexpr const char* kFooter =
    "Settings come from --config FILE (NAME=value lines), then the environment, then flags; the\n"
    "later wins. `kollator settings` prints them all. Exit codes: 0 ended well, 1 failed while\n"
    "running, 2 wrong arguments or settings.";

void add_setting_flags(CLI::App& app, unsigned roles, Variables& flags) {
    for (const Setting& setting : settings()) {
        if ((setting.role & roles) == 0 || setting.secret) continue;
        std::string help = setting.help + " Expected: " + setting.expected + ".";
        if (!setting.default_text.empty()) help += " Default: " + setting.default_text + ".";
        app.add_option_function<std::string>(
               setting.flag(),
               [&flags, name = setting.name](const std::string& value) { flags[name] = value; },
               help)
            ->type_name(setting.name)
            ->group("Settings");
    }
}

}  // namespace

CommandLine parse_command_line(const std::vector<std::string>& arguments,
                               const std::string& version) {
    CommandLine line;
    CLI::App app{"Kollator: the backbone node of browser peer-to-peer file sharing", "kollator"};
    app.footer(kFooter);
    app.set_version_flag("--version", "kollator " + version);
    app.require_subcommand(1);
    for (const Description& description : kDescriptions) {
        CLI::App* sub = app.add_subcommand(description.name, description.summary);
        sub->description(std::string(description.summary) + "\n" + description.details);
        sub->callback([&line, command = description.command] { line.command = command; });
        if (description.roles != 0) {
            sub->footer(kFooter);
            sub->add_option("--config", line.config_file, "A file of NAME=value lines.")
                ->type_name("FILE");
            add_setting_flags(*sub, description.roles, line.flags);
        }
        if (description.command == Command::kKeygen) {
            sub->add_option("file", line.key_file, "Where the key goes.")->required();
            sub->add_flag("--force", line.force, "Replace an existing file.");
        }
    }

    // CLI11 throws for help as well as for errors; nothing leaves this function.
    try {
        std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
        app.parse(reversed);
    } catch (const CLI::ParseError& error) {
        std::ostringstream out;
        std::ostringstream problem;
        const int code = app.exit(error, out, problem);
        line.exits = true;
        line.exit_code = code == 0 ? kExitOk : kExitUsage;
        line.text = out.str() + problem.str();
    }
    return line;
}

}  // namespace kollator::config
