#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "app/doctor.h"
#include "app/ice_server_options.h"
#include "app/keygen.h"
#include "app/run.h"
#include "base/file_system.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/dht_status.h"
#include "cli/transfer_commands.h"
#include "config/command_line.h"
#include "crypto/system_random.h"

// The whole environment, for the settings: there is no portable declaration of it.
extern char** environ;  // NOLINT(readability-redundant-declaration)

namespace kollator::app {
namespace {

const log::Logger kLog("main");

constexpr std::size_t kMaxConfigFileBytes = 256 * 1024;

config::Variables environment_variables() {
    config::Variables variables;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string pair = *entry;
        const std::size_t equals = pair.find('=');
        if (equals != std::string::npos)
            variables[pair.substr(0, equals)] = pair.substr(equals + 1);
    }
    return variables;
}

log::Level level_of(const std::string& name) {
    const std::vector<std::string> names{"trace", "debug", "info", "warn", "error", "off"};
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (names[i] == name) return static_cast<log::Level>(i);
    }
    return log::Level::kInfo;
}

int usage_error(const std::string& line) {
    std::fprintf(stderr, "kollator: %s\n", line.c_str());
    return config::kExitUsage;
}

int run_with_settings(const config::CommandLine& line) {
    config::Variables file;
    if (!line.config_file.empty()) {
        const auto bytes = read_file(posix_file_system(), line.config_file, kMaxConfigFileBytes);
        if (!bytes) return usage_error(bytes.error().detail);
        auto parsed = config::parse_file(std::string(as_text(*bytes)), line.config_file);
        if (!parsed) return usage_error(parsed.error().detail);
        file = std::move(*parsed);
    }
    config::Loaded loaded = config::load(file, environment_variables(), line.flags);
    if (!loaded.faults.empty()) {
        for (const std::string& fault : loaded.faults) (void)usage_error(fault);
        return config::kExitUsage;
    }
    log::configure(level_of(loaded.config.log_level), loaded.config.debug);
    for (const std::string& notice : loaded.notices) kLog.warn("{}", notice);

    switch (line.command) {
        case config::Command::kDoctor:
            log::configure(log::Level::kOff, loaded.config.debug);
            return doctor(loaded.config, line.doctor,
                          [](const std::string& text) { std::printf("%s\n", text.c_str()); });
        case config::Command::kWorker:
            return run_worker(loaded.config);
        case config::Command::kFront:
            return run_front(loaded.config);
        default:
            return run_dev(loaded.config);
    }
}

/// `kollator ls`, `kollator rm` and `kollator dht`.
int run_client(const config::CommandLine& line) {
    const char* token = std::getenv("ADMIN_TOKEN");
    cli::WorkerClient worker({line.worker_url, token != nullptr ? token : ""});
    const cli::Output output{
        [](const std::string& text) { std::printf("%s\n", text.c_str()); },
        [](const std::string& text) { std::fprintf(stderr, "kollator: %s\n", text.c_str()); }};
    int exit_code = config::kExitOk;
    if (line.command == config::Command::kList) {
        exit_code = cli::list(worker, line.list, output);
    } else if (line.command == config::Command::kDht) {
        exit_code = cli::dht_status(worker, line.dht.json, output);
    } else {
        exit_code = cli::remove(worker, line.remove, output);
    }
    return std::fflush(stdout) == 0 ? exit_code : config::kExitFailure;
}

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
}

/// `kollator put`, `get`, `stat`, `health`, and `ls` over WebRTC.
int run_transfer(const config::CommandLine& line) {
    // What goes wrong is told by the command itself; the layers below speak where DEBUG names them.
    log::configure(log::Level::kOff, variable("DEBUG"));
    cli::TransferSetup setup;
    setup.choice = line.choice;
    setup.agent = "kollator/" KOLLATOR_VERSION;
    setup.ice_servers = [](const auto& servers) { return ice_server_options(servers); };
    setup.environment_front = variable("KOLLATOR_FRONT");
    setup.environment_worker = variable("KOLLATOR_URL");
    const cli::Output output{
        [](const std::string& text) {
            std::printf("%s\n", text.c_str());
            (void)std::fflush(stdout);
        },
        [](const std::string& text) { std::fprintf(stderr, "kollator: %s\n", text.c_str()); }};
    switch (line.command) {
        case config::Command::kPut:
            return cli::put(setup, line.put, output);
        case config::Command::kGet:
            return cli::get(setup, line.get, output);
        case config::Command::kStat:
            return cli::stat(setup, line.stat, output);
        case config::Command::kList:
            return cli::list_chunks(setup, line.list, output);
        default:
            return cli::health(setup, output);
    }
}

int run(const std::vector<std::string>& arguments) {
    const config::CommandLine line = config::parse_command_line(arguments, KOLLATOR_VERSION);
    if (line.exits) {
        std::fputs(line.text.c_str(), line.exit_code == config::kExitOk ? stdout : stderr);
        return line.exit_code;
    }
    switch (line.command) {
        case config::Command::kKeygen:
            return keygen(posix_file_system(), crypto::system_random(), line.key_file, line.force);
        case config::Command::kSettings:
            std::fputs(config::settings_markdown().c_str(), stdout);
            return config::kExitOk;
        case config::Command::kList:
            return line.choice.given() ? run_transfer(line) : run_client(line);
        case config::Command::kRemove:
        case config::Command::kDht:
            return run_client(line);
        case config::Command::kPut:
        case config::Command::kGet:
        case config::Command::kStat:
        case config::Command::kHealth:
            return run_transfer(line);
        default:
            return run_with_settings(line);
    }
}

}  // namespace
}  // namespace kollator::app

int main(int count, char** arguments) {
    return kollator::app::run({arguments + 1, arguments + count});
}
