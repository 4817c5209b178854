#include "cli/transfer_commands.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "cli/progress.h"
#include "cli/transfer.h"

namespace kollator::cli {
namespace {

using nlohmann::json;

constexpr const char* kDefaultFront = "http://127.0.0.1:8080";  // of `kollator dev`
constexpr std::size_t kJobThreads = 2;
/// run_until() wants an end; requests have deadlines of their own.
constexpr Duration kNever = std::chrono::hours(24 * 365);

/// The loop and all that stands on it, in the order in which it may go again.
class Machinery {
 public:
    /// `link_front`: of the link that is asked for; may be empty.
    Machinery(const TransferSetup& setup, const std::string& link_front, const Output& output)
        : bar_(stderr, !setup.choice.quiet && !setup.choice.json),
          jobs_(kJobThreads),
          access_(loop_, access_options(setup, link_front)),
          context_{loop_, jobs_, posix_file_system(), access_, nullptr},
          output_(output) {
        context_.on_progress = [this](const TransferProgress& progress) {
            bar_.update(progress, loop_.now());
        };
    }

    TransferContext& context() { return context_; }
    WorkerAccess& access() { return access_; }
    const std::string& front_url() const { return front_url_; }
    void begin(const std::string& name) { bar_.begin(name, loop_.now()); }
    void wait(const bool& done) {
        loop_.run_until([&] { return done; }, kNever);
        bar_.clear();
    }
    /// Prints it where there is one; gives the exit code.
    int finish(const std::optional<Failure>& failure, const std::string& what) {
        if (!failure) return config::kExitOk;
        output_.fault(what.empty() ? failure->text : what + ": " + failure->text);
        return failure->exit_code;
    }
    int finish(const Error& error, const std::string& what) {
        return finish(failure_of(error, access_), what);
    }

 private:
    AccessOptions access_options(const TransferSetup& setup, const std::string& link_front) {
        AccessOptions options;
        const config::WorkerChoice& choice = setup.choice;
        options.front_url = choice.front_url;
        options.worker_url = choice.worker_url;
        options.direct_address = choice.direct_address;
        if (!choice.given()) {
            options.front_url = link_front.empty() ? setup.environment_front : link_front;
            if (options.front_url.empty()) options.worker_url = setup.environment_worker;
            if (options.front_url.empty() && options.worker_url.empty()) {
                options.front_url = kDefaultFront;
            }
        }
        front_url_ = options.front_url;
        options.ca_file = choice.ca_file;
        options.agent = setup.agent;
        options.ice_servers = setup.ice_servers;
        options.on_trouble = [this](const std::string& what) {
            bar_.clear();
            output_.fault(what + "; trying again");
        };
        return options;
    }

    std::string front_url_;
    ProgressBar bar_;
    EventLoop loop_;
    JobPool jobs_;
    WorkerAccess access_;
    TransferContext context_;
    const Output& output_;
};

std::string dump(const json& document) {
    return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

/// A name as a terminal may be given it.
std::string printable(std::string name) {
    for (char& c : name) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7F) c = '?';
    }
    return name;
}

/// What CHUNK_STAT tells of a share's chunks, or of one chunk.
struct Stored {
    json document;
    std::size_t chunks = 0;
    std::size_t stored = 0;
    std::size_t cached = 0;
};

class Inspection {
 public:
    using Done = std::function<void(std::optional<Error>)>;

    Inspection(TransferContext& context, Stored& into, Done done)
        : context_(context), stored_(into), done_(std::move(done)) {}

    void begin(const MetadataId& hash) {
        open_share(context_, hash, [this, hash](Result<SharedFileInfo> info) {
            if (info) {
                stored_.document = {{"hash", hash.hex()}, {"name", info->name}};
                ids_ = std::move(info->chunks);
                return take_size(info->size_bytes);
            }
            if (info.error().code != ErrorCode::kNotFound) return done_(info.error());
            // No share: then a chunk, perhaps.
            stored_.document = {{"hash", hash.hex()}, {"name", nullptr}};
            ids_ = {ChunkId(hash.bytes())};
            ask();
        });
    }

 private:
    void take_size(std::uint64_t bytes) {
        stored_.document["size"] = bytes;
        ask();
    }
    void ask() {
        stored_.chunks = ids_.size();
        if (next_ >= ids_.size()) return end();
        const std::size_t end_at = std::min(ids_.size(), next_ + protocol::kMaxStatNames);
        const std::vector<ChunkId> names(ids_.begin() + static_cast<std::ptrdiff_t>(next_),
                                         ids_.begin() + static_cast<std::ptrdiff_t>(end_at));
        next_ = end_at;
        using Stats = std::vector<protocol::StatEntry>;
        context_.access.run<Stats>(
            [names](peer::Connection& connection, peer::Done<Stats> told) {
                connection.requests().stat(names, std::move(told));
            },
            [this](Result<Stats> stats) {
                if (!stats) return done_(stats.error());
                for (const protocol::StatEntry& entry : *stats) count(entry);
                ask();
            });
    }
    void count(const protocol::StatEntry& entry) {
        using protocol::StatResidency;
        const bool known = entry.residency != StatResidency::kNotStored &&
                           entry.residency != StatResidency::kUnknown;
        stored_.stored += known ? 1 : 0;
        stored_.cached += entry.residency == StatResidency::kCachedHere ? 1 : 0;
        if (!stored_.document.contains("size") && known) size_bytes_ = entry.size_bytes;
    }
    void end() {
        if (!stored_.document.contains("size")) stored_.document["size"] = size_bytes_;
        stored_.document["chunks"] = stored_.chunks;
        stored_.document["stored"] = stored_.stored;
        stored_.document["cached"] = stored_.cached;
        done_(std::nullopt);
    }

    TransferContext& context_;
    Stored& stored_;
    const Done done_;
    std::vector<ChunkId> ids_;
    std::size_t next_ = 0;
    std::uint64_t size_bytes_ = 0;
};

std::string stat_line(const Stored& stored) {
    const json& document = stored.document;
    const json& name = document["name"];
    return document["hash"].get<std::string>() + '\t' +
           std::to_string(document["size"].get<std::uint64_t>()) + '\t' +
           std::to_string(stored.stored) + '/' + std::to_string(stored.chunks) + '\t' +
           std::to_string(stored.cached) + '\t' +
           (name.is_string() ? printable(name.get<std::string>()) : std::string("-"));
}

int usage_fault(const Output& output, const std::string& link) {
    output.fault("\"" + printable(link) +
                 "\": expected a share link (http://front/#<64 hex digits>/name) or its hash");
    return config::kExitUsage;
}

}  // namespace

int put(const TransferSetup& setup, const config::PutOptions& options, const Output& output) {
    Machinery machinery(setup, "", output);
    int exit_code = config::kExitOk;
    for (const std::string& path : options.files) {
        bool done = false;
        std::optional<Failure> failure;
        PutResult result;
        machinery.begin(std::filesystem::path(path).filename().string());
        const Upload upload(machinery.context(), path, [&](const auto& failed, const auto& got) {
            failure = failed;
            result = got;
            done = true;
        });
        machinery.wait(done);
        const int code = machinery.finish(failure, path);
        if (exit_code == config::kExitOk) exit_code = code;
        if (code == kExitUnreachable) break;
        if (code != config::kExitOk) continue;
        result.link.front_url = machinery.front_url();
        const std::string link = format_link(result.link);
        output.result(setup.choice.json ? dump({{"file", path},
                                                {"link", link},
                                                {"hash", result.link.info_hash.hex()},
                                                {"size", result.size_bytes},
                                                {"chunks", result.chunks},
                                                {"sent", result.sent}})
                                        : link);
    }
    return exit_code;
}

int get(const TransferSetup& setup, const config::GetOptions& options, const Output& output) {
    const auto link = parse_link(options.link);
    if (!link) return usage_fault(output, options.link);
    Machinery machinery(setup, link->front_url, output);
    bool done = false;
    std::optional<Failure> failure;
    GetResult result;
    machinery.begin(link->name.empty() ? link->info_hash.hex() : link->name);
    const Download download(machinery.context(), link->info_hash, {options.output, options.force},
                            [&](const auto& failed, const auto& got) {
                                failure = failed;
                                result = got;
                                done = true;
                            });
    machinery.wait(done);
    if (const int code = machinery.finish(failure, ""); code != config::kExitOk) return code;
    if (options.output == "-") return config::kExitOk;
    output.result(setup.choice.json ? dump({{"file", result.path.string()},
                                            {"hash", link->info_hash.hex()},
                                            {"size", result.size_bytes},
                                            {"chunks", result.chunks},
                                            {"fetched", result.fetched}})
                                    : result.path.string());
    return config::kExitOk;
}

int stat(const TransferSetup& setup, const config::StatOptions& options, const Output& output) {
    std::vector<ShareLink> links;
    for (const std::string& text : options.links) {
        const auto link = parse_link(text);
        if (!link) return usage_fault(output, text);
        links.push_back(*link);
    }
    Machinery machinery(setup, links.front().front_url, output);
    int exit_code = config::kExitOk;
    for (const ShareLink& link : links) {
        bool done = false;
        std::optional<Error> error;
        Stored stored;
        Inspection inspection(machinery.context(), stored, [&](std::optional<Error> failed) {
            error = std::move(failed);
            done = true;
        });
        inspection.begin(link.info_hash);
        machinery.wait(done);
        if (error) return machinery.finish(*error, link.info_hash.hex());
        output.result(setup.choice.json ? dump(stored.document) : stat_line(stored));
        if (stored.stored < stored.chunks) exit_code = kExitNotFound;
    }
    return exit_code;
}

int list_chunks(const TransferSetup& setup, const config::ListOptions& options,
                const Output& output) {
    Machinery machinery(setup, "", output);
    protocol::ListRequest request;
    request.scope =
        options.cached ? protocol::ListScope::kCachedHere : protocol::ListScope::kObjectStore;
    for (bool more = true; more;) {
        bool done = false;
        std::optional<Result<protocol::ListAnswer>> page;
        machinery.access().run<protocol::ListAnswer>(
            [&request](peer::Connection& connection, peer::Done<protocol::ListAnswer> told) {
                connection.requests().list(request, std::move(told));
            },
            [&](Result<protocol::ListAnswer> got) {
                page = std::move(got);
                done = true;
            });
        machinery.wait(done);
        if (!*page) return machinery.finish(page->error(), "");
        for (const protocol::ListEntry& entry : (*page)->entries) {
            const std::string hash = entry.id.hex();
            output.result(options.json ? dump({{"hash", hash}, {"size", entry.size_bytes}})
                                       : hash + '\t' + std::to_string(entry.size_bytes));
            request.after = entry.id;
        }
        more = (*page)->more && !(*page)->entries.empty();
    }
    return config::kExitOk;
}

int health(const TransferSetup& setup, const Output& output) {
    Machinery machinery(setup, "", output);
    bool done = false;
    std::optional<Result<std::string>> answer;
    machinery.access().run<std::string>(
        [](peer::Connection& connection, peer::Done<std::string> told) {
            connection.requests().health(std::move(told));
        },
        [&](Result<std::string> got) {
            answer = std::move(got);
            done = true;
        });
    machinery.wait(done);
    if (!*answer) return machinery.finish(answer->error(), "");
    const json document = json::parse(**answer, nullptr, false);
    if (!document.is_object()) {
        output.fault("the worker's answer is no JSON document");
        return config::kExitFailure;
    }
    output.result(
        document.dump(setup.choice.json ? -1 : 2, ' ', false, json::error_handler_t::replace));
    const auto status = document.find("status");
    const bool failing = status != document.end() && *status == "error";
    return failing ? config::kExitFailure : config::kExitOk;
}

}  // namespace kollator::cli
