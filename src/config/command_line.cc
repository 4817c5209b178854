#include "config/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <sstream>

#include "config/parse.h"

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
    {Command::kList, "ls", 0, "List what a worker stores",
     "Asks a running worker: over WebRTC, as any client may, with --front, --worker or --address,\n"
     "else over HTTP, as its admin. One line each: the hash and the size, of torrents the hash,\n"
     "the size of the files and their name, with tabs between. Lists the object store, or with\n"
     "--cached this worker's cache."},
    {Command::kRemove, "rm", 0, "Delete chunks or torrents",
     "Asks a running worker, over HTTP, to delete each from its cache and from the object store.\n"
     "What is not there counts as removed. Where deletion is delayed (S3_MIN_STORAGE_DAYS) the "
     "day\n"
     "is told, and nobody can read it meanwhile. Other workers keep what they have cached."},
    {Command::kDht, "dht", 0, "How a worker stands in the BitTorrent DHT",
     "`kollator dht status` asks a running worker, over HTTP: its routing table, the size of the\n"
     "network, what it announces, look-ups. Fails where the worker is not in the DHT, or lost it."},
    {Command::kPut, "put", 0, "Store files, and print their links",
     "Over WebRTC, as the page does, and with the same links: what is put here can be got there.\n"
     "What the worker has already is not sent again: run it anew after an interruption."},
    {Command::kGet, "get", 0, "Fetch the file behind a link",
     "Over WebRTC, every chunk verified. An interrupted run goes on where it was: the partial "
     "file\n"
     "is kept beside the output as <name>.<hash>.part, and verified before it is used."},
    {Command::kStat, "stat", 0, "Tell what of a link is stored, and where",
     "One line for each link, or hash of a chunk."},
    {Command::kHealth, "health", 0, "Ask a worker how it is",
     "The document of its GET /health, over WebRTC: it shows that clients can connect."},
    {Command::kDoctor, "doctor", Role::kWorker, "Find what keeps a worker from working",
     "Takes the settings of a worker and tries what they say: the object store and its\n"
     "credentials, the disk under cache and data, UDP with the STUN and TURN servers, the DHT.\n"
     "Says what to do about each fault. The worker may be running meanwhile."},
};

constexpr const char* kWorkerFooter =
    "The admin token is read from ADMIN_TOKEN; without one the worker must be on this machine.\n"
    "Exit codes: 0 done, 1 the worker could not do it, 2 wrong arguments, 3 no worker answers,\n"
    "4 the admin token is missing or wrong.";
constexpr const char* kTransferFooter =
    "With none of --front, --worker and --address: the link's own front, KOLLATOR_FRONT,\n"
    "KOLLATOR_URL (a worker), http://127.0.0.1:8080. Exit codes: 0 done, 1 the worker could not "
    "do\n"
    "it, 2 wrong arguments, 3 no worker answers, 5 it is not stored, 6 a file here cannot be read\n"
    "or written.";
constexpr const char* kDoctorFooter =
    "Exit codes: 0 nothing found, or warnings only, 1 faults were found, 2 wrong settings.";
constexpr const char* kDefaultWorkerUrl = "http://127.0.0.1:8081";

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

/// Empty where it is good; CLI11 shows it otherwise.
std::string check_worker_url(std::string& url) {
    while (url.ends_with('/')) url.pop_back();
    const bool plain = url.find('?') == std::string::npos && url.find('#') == std::string::npos;
    return plain && is_url(url, {"http", "https"}) ? "" : "expected an http or https URL";
}

/// `url`: each subcommand's own, since CLI11 reads the environment for all of them.
void add_worker_options(CLI::App& sub, Command command, CommandLine& line, std::string& url) {
    sub.footer(kWorkerFooter);
    url = kDefaultWorkerUrl;
    sub.add_option("--url", url, "The worker's address.")
        ->envname("KOLLATOR_URL")
        ->type_name("URL")
        ->capture_default_str()
        ->transform(CLI::Validator(check_worker_url, ""));
    if (command == Command::kList) {
        sub.add_flag("--torrents", line.list.torrents, "Torrents, not chunks.");
        sub.add_flag("--cached", line.list.cached, "What the worker has cached.");
        sub.add_flag("--json", line.list.json, "A JSON document a line.");
    } else if (command == Command::kDht) {
        sub.add_option("what", "status")
            ->required()
            ->check(CLI::IsMember({"status"}))
            ->type_name("status");
        sub.add_flag("--json", line.dht.json, "The worker's own document.");
    } else {
        sub.add_flag("--torrents", line.remove.torrents, "The hashes are torrents' info-hashes.");
        sub.add_option("hash", line.remove.hashes, "64 hex digits.")->required()->type_name("HASH");
    }
}

/// Whom to ask over WebRTC.
void add_route(CLI::App& sub, WorkerChoice& choice) {
    const CLI::Validator url(check_worker_url, "");
    auto* front = sub.add_option("--front", choice.front_url,
                                 "A front server: it names the worker, and others to fall back on.")
                      ->type_name("URL")
                      ->transform(url);
    auto* worker = sub.add_option("--worker", choice.worker_url, "A worker.")
                       ->type_name("URL")
                       ->transform(url);
    auto* address = sub.add_option("--address", choice.direct_address,
                                   "A worker's direct address, as it prints it at its start.")
                        ->type_name("/ip4/…");
    front->excludes(worker)->excludes(address);
    worker->excludes(address);
    sub.add_option("--ca-file", choice.ca_file,
                   "Certificate authorities (PEM) for https, in place of the system's.")
        ->type_name("FILE");
}

void add_choice(CLI::App& sub, WorkerChoice& choice) {
    sub.footer(kTransferFooter);
    add_route(sub, choice);
    sub.add_flag("--json", choice.json, "A JSON document a line.");
    sub.add_flag("--quiet", choice.quiet, "No progress bar.");
}

void add_transfer_options(CLI::App& sub, Command command, CommandLine& line) {
    if (command == Command::kPut) {
        sub.add_option("files", line.put.files, "Files to store.")->required()->type_name("FILE");
    } else if (command == Command::kGet) {
        sub.add_option("link", line.get.link, "A share link, or its info-hash.")
            ->required()
            ->type_name("LINK");
        sub.add_option("-o,--output", line.get.output,
                       "The file to write, or a folder; \"-\" for standard output. Without it: "
                       "the file's own name, here.")
            ->type_name("FILE");
        sub.add_flag("--force", line.get.force, "Replace an existing file.");
    } else if (command == Command::kStat) {
        sub.add_option("links", line.stat.links, "Share links, or hashes.")
            ->required()
            ->type_name("LINK");
    }
}

bool is_transfer(Command command) {
    return command == Command::kPut || command == Command::kGet || command == Command::kStat ||
           command == Command::kHealth;
}

}  // namespace

CommandLine parse_command_line(const std::vector<std::string>& arguments,
                               const std::string& version) {
    CommandLine line;
    CLI::App app{"Kollator: the backbone node of browser peer-to-peer file sharing", "kollator"};
    app.footer(kFooter);
    app.set_version_flag("--version", "kollator " + version);
    app.require_subcommand(1);
    std::string list_url;
    std::string remove_url;
    std::string dht_url;
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
        if (description.command == Command::kList) {
            add_worker_options(*sub, description.command, line, list_url);
            add_route(*sub, line.choice);
            for (const char* route : {"--front", "--worker", "--address"}) {
                sub->get_option(route)->excludes("--torrents")->excludes("--url");
            }
        } else if (description.command == Command::kRemove) {
            add_worker_options(*sub, description.command, line, remove_url);
        } else if (description.command == Command::kDht) {
            add_worker_options(*sub, description.command, line, dht_url);
        } else if (is_transfer(description.command)) {
            add_choice(*sub, line.choice);
            add_transfer_options(*sub, description.command, line);
        } else if (description.command == Command::kDoctor) {
            sub->footer(kDoctorFooter);
            sub->add_flag("--json", line.doctor.json, "A JSON document a line.");
            sub->add_flag("--read-only", line.doctor.read_only,
                          "Write nothing to the object store. Without it a small object is "
                          "written there, read and deleted again.");
        }
    }

    // CLI11 throws for help as well as for errors; nothing leaves this function.
    try {
        std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
        app.parse(reversed);
        line.worker_url = list_url;
        if (line.command == Command::kRemove) line.worker_url = remove_url;
        if (line.command == Command::kDht) line.worker_url = dht_url;
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
