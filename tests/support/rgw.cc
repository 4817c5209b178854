#include "tests/support/rgw.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace kollator::testing {
namespace {

/// The first start on a machine downloads the packages.
constexpr std::chrono::minutes kStartDeadline{10};
constexpr std::chrono::minutes kCommandDeadline{3};

Result<nlohmann::json> read_answer(ChildProcess& child, std::chrono::milliseconds timeout) {
    auto line = child.read_line(timeout);
    if (!line) return line.error();
    auto answer = nlohmann::json::parse(*line, nullptr, /*allow_exceptions=*/false);
    if (!answer.is_object()) return make_error(ErrorCode::kInternal, "rgw.py said: " + *line);
    return answer;
}

}  // namespace

Result<RgwServer> RgwServer::start(const Options& options) {
    std::vector<std::string> command{KOLLATOR_SOURCE_DIR "/tests/support/rgw/rgw.py"};
    if (options.max_concurrent_requests > 0) {
        command.insert(command.end(), {"--max-concurrent-requests",
                                       std::to_string(options.max_concurrent_requests)});
    }
    if (!options.tls_certificate.empty()) {
        command.insert(command.end(),
                       {"--tls-cert", options.tls_certificate, "--tls-key", options.tls_key});
    }
    auto child = ChildProcess::start({.command = command, .environment = {}});
    if (!child) return child.error();
    RgwServer server(std::move(*child));
    auto answer = read_answer(server.child_, kStartDeadline);
    if (!answer) return answer.error();
    server.endpoint_ = answer->value("endpoint", "");
    server.access_key_ = answer->value("accessKey", "");
    server.secret_key_ = answer->value("secretKey", "");
    server.bucket_ = answer->value("bucket", "");
    server.region_ = answer->value("region", "");
    return server;
}

Status RgwServer::command(const std::string& word) {
    if (auto sent = child_.write(word + "\n"); !sent) return sent;
    auto answer = read_answer(child_, kCommandDeadline);
    if (!answer) return answer.error();
    if (answer->value("ok", false)) return {};
    return make_error(ErrorCode::kUnavailable, answer->value("error", "rgw.py failed"));
}

}  // namespace kollator::testing
