#include "cli/dht_status.h"

#include <cstdio>
#include <nlohmann/json.hpp>

namespace kollator::cli {
namespace {

using nlohmann::json;

/// Numbers and names under "a/b"; "-" for what is not there.
std::string at(const json& document, const char* path) {
    const json::json_pointer pointer(path);
    if (!document.contains(pointer)) return "-";
    const json& value = document[pointer];
    if (value.is_string()) return value.get<std::string>();
    if (value.is_number_float()) {
        char text[32];
        (void)std::snprintf(text, sizeof text, "%.1f", value.get<double>());
        return text;
    }
    return value.dump();
}

std::string percent(const json& document, const char* path) {
    const json::json_pointer pointer(path);
    if (!document.contains(pointer) || !document[pointer].is_number()) return "-";
    char text[32];
    (void)std::snprintf(text, sizeof text, "%.1f %%", 100 * document[pointer].get<double>());
    return text;
}

bool is_true(const json& document, const char* path) {
    const json::json_pointer pointer(path);
    return document.contains(pointer) && document[pointer] == true;
}

void tell(const json& dht, const Output& output) {
    const auto line = [&](const std::string& name, const std::string& value) {
        output.result(name + std::string(name.size() < 16 ? 16 - name.size() : 1, ' ') + value);
    };
    line("port", at(dht, "/ports") + (is_true(dht, "/readOnly") ? " (read-only)" : ""));
    const std::string error = at(dht, "/listenError");
    if (!error.empty() && error != "-") line("cannot listen", error);
    if (dht.contains("/network/tables"_json_pointer)) {
        for (const json& table : dht["/network/tables"_json_pointer]) {
            line("node (IPv" + at(table, "/family") + ")",
                 at(table, "/nodeId") + ", " + at(table, "/nodes") + " nodes, " +
                     at(table, "/replacements") + " replacements");
        }
    }
    line("contacts", at(dht, "/network/contacts") + ", " + at(dht, "/network/good") + " good, " +
                         at(dht, "/network/stale") + " stale");
    line("network", "about " + at(dht, "/network/estimatedSize") + " nodes, round trip " +
                        at(dht, "/network/rttMs") + " ms (99 %: " + at(dht, "/network/rttP99Ms") +
                        " ms)");
    line("announced", at(dht, "/announcer/keys") + " keys, " + at(dht, "/announcer/due") +
                          " due, " + at(dht, "/announcer/late") + " late, the oldest " +
                          at(dht, "/announcer/oldestAge") + " s ago");
    line("look-ups", at(dht, "/lookups/asked") + " asked, " + at(dht, "/lookups/cached") +
                         " from the cache, " + at(dht, "/lookups/withPeers") + " of " +
                         at(dht, "/lookups/done") + " with peers, success rate " +
                         percent(dht, "/lookups/successRate") + " (" +
                         at(dht, "/lookups/unanswered") + " unanswered)");
    line("messages", at(dht, "/messages/sent") + " sent, " + at(dht, "/messages/answered") +
                         " answered, " + at(dht, "/messages/timeouts") + " timeouts");
    line("heard", at(dht, "/heard/peers") + " peers of " + at(dht, "/heard/keys") + " keys");
}

}  // namespace

int dht_status(WorkerClient& worker, bool as_json, const Output& output) {
    std::string body;
    if (const auto failure = worker.get("/stats", body)) {
        output.fault(failure->text);
        return failure->exit_code;
    }
    const json document = json::parse(body, nullptr, false);
    if (!document.is_object() || !document.contains("dht") || !document["dht"].is_object()) {
        output.fault("the worker's answer cannot be understood: /stats has no \"dht\"");
        return config::kExitFailure;
    }
    const json& dht = document["dht"];
    if (as_json) {
        output.result(dht.dump());
    } else if (is_true(dht, "/enabled")) {
        tell(dht, output);
    }
    if (!is_true(dht, "/enabled")) {
        output.fault("this worker is not in the DHT: set DHT_BOOTSTRAP_NODES, or DHT_ENABLED=true");
        return config::kExitFailure;
    }
    if (is_true(dht, "/network/lost")) {
        output.fault("no node has answered for " + at(dht, "/network/silence") + " s");
        return config::kExitFailure;
    }
    return config::kExitOk;
}

}  // namespace kollator::cli
