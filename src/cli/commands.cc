#include "cli/commands.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>

#include "base/ids.h"

namespace kollator::cli {
namespace {

using nlohmann::json;

/// A name as a terminal may be given it: what a stranger wrote may hold escape sequences.
std::string printable(std::string name) {
    for (char& c : name) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7F) c = '?';
    }
    return name;
}

std::string json_line(const WorkerClient::Entry& entry, bool torrent) {
    json line = {{"hash", entry.hash}};
    if (torrent) {
        line["metadataSize"] = entry.size_bytes;
        line["name"] = entry.name ? json(*entry.name) : json();
        line["size"] = entry.name ? json(entry.length_bytes) : json();
    } else {
        line["size"] = entry.size_bytes;
    }
    return line.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string text_line(const WorkerClient::Entry& entry, bool torrent) {
    if (!torrent) return entry.hash + '\t' + std::to_string(entry.size_bytes);
    if (!entry.name) return entry.hash + "\t-\t-";
    return entry.hash + '\t' + std::to_string(entry.length_bytes) + '\t' + printable(*entry.name);
}

/// "2027-02-18": the day, in UTC.
std::string day_of(std::int64_t seconds) {
    const auto time = static_cast<std::time_t>(seconds);
    std::tm parts{};
    char text[16] = "";
    if (::gmtime_r(&time, &parts) == nullptr) return std::to_string(seconds);
    (void)std::strftime(text, sizeof text, "%Y-%m-%d", &parts);
    return text;
}

}  // namespace

int list(WorkerClient& worker, const config::ListOptions& options, const Output& output) {
    WorkerClient::Query query{options.torrents, options.cached, ""};
    while (true) {
        WorkerClient::Page page;
        if (const auto failure = worker.list(query, page)) {
            output.fault(failure->text);
            return failure->exit_code;
        }
        for (const auto& entry : page.entries) {
            output.result(options.json ? json_line(entry, options.torrents)
                                       : text_line(entry, options.torrents));
        }
        if (!page.next) return config::kExitOk;
        query.after = *page.next;
    }
}

int remove(WorkerClient& worker, const config::RemoveOptions& options, const Output& output) {
    // All are looked at first: nothing goes where one of them is a typing error.
    for (const std::string& hash : options.hashes) {
        if (ChunkId::from_hex(hash)) continue;
        output.fault("\"" + printable(hash) + "\": expected a hash, 64 lowercase hex digits");
        return config::kExitUsage;
    }
    int exit_code = config::kExitOk;
    for (const std::string& hash : options.hashes) {
        WorkerClient::Removed removed;
        const auto failure = worker.remove(options.torrents, hash, removed);
        if (!failure) {
            output.result(hash + (removed.due_s ? "\tdelayed until " + day_of(*removed.due_s)
                                                : std::string("\tremoved")));
            continue;
        }
        output.fault(hash + ": " + failure->text);
        if (exit_code == config::kExitOk) exit_code = failure->exit_code;
        // These are no matter of this one hash.
        if (failure->exit_code == kExitUnreachable || failure->exit_code == kExitForbidden) break;
    }
    return exit_code;
}

}  // namespace kollator::cli
