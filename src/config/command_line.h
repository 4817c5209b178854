#pragma once

#include <string>
#include <vector>

#include "config/settings.h"

namespace kollator::config {

enum class Command : std::uint8_t {
    kNone,
    kWorker,
    kFront,
    kDev,
    kKeygen,
    kSettings,
    kList,
    kRemove,
    kDht,
    kPut,
    kGet,
    kStat,
    kHealth,
    kDoctor,
};

/// `kollator ls`
struct ListOptions {
    bool torrents = false;
    bool cached = false;
    bool json = false;
};

/// `kollator dht status`
struct DhtOptions {
    bool json = false;
};

/// `kollator rm`
struct RemoveOptions {
    bool torrents = false;
    std::vector<std::string> hashes;
};

/// Whom `put`, `get`, `stat` and `health` speak to: one of the three at most is given.
struct WorkerChoice {
    std::string front_url;       ///< without a slash at the end
    std::string worker_url;      ///< without a slash at the end
    std::string direct_address;  ///< "/ip4/…/udp/…/webrtc-direct/certhash/…"
    std::string ca_file;
    bool json = false;
    bool quiet = false;  ///< no progress

    bool given() const {
        return !front_url.empty() || !worker_url.empty() || !direct_address.empty();
    }
};

struct PutOptions {
    std::vector<std::string> files;
};

struct GetOptions {
    std::string link;
    std::string output;  ///< empty: the share's own name; "-": standard output
    bool force = false;  ///< replaces an existing file
};

struct StatOptions {
    std::vector<std::string> links;  ///< or hashes of chunks
};

struct DoctorOptions {
    bool json = false;
    bool read_only = false;
};

struct CommandLine {
    Command command = Command::kNone;
    Variables flags;          ///< settings that were given as flags, by variable name
    std::string config_file;  ///< --config; empty: none
    std::string key_file;     ///< keygen's argument
    bool force = false;       ///< keygen --force
    std::string worker_url;   ///< ls, rm and dht: "http://host:port", without a slash at the end
    ListOptions list;
    RemoveOptions remove;
    DhtOptions dht;
    WorkerChoice choice;
    PutOptions put;
    GetOptions get;
    StatOptions stat;
    DoctorOptions doctor;

    /// Set where there is nothing to run: the exit code and the text to print (help, version, or
    /// what was wrong).
    bool exits = false;
    int exit_code = 0;
    std::string text;
};

/// Exit codes that scripts may rely on.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure = 1;  ///< something went wrong at run time
inline constexpr int kExitUsage = 2;    ///< wrong arguments or settings; nothing was started

/// `arguments` without the program's name.
CommandLine parse_command_line(const std::vector<std::string>& arguments,
                               const std::string& version);

}  // namespace kollator::config
