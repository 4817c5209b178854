#include "app/doctor.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/doctor_checks.h"

namespace kollator::app {
namespace {

const char* name_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::kGood:
            return "ok";
        case Verdict::kWarning:
            return "warning";
        case Verdict::kFault:
            return "fault";
    }
    return "";
}

std::string json_line(const Finding& finding) {
    return nlohmann::json{{"verdict", name_of(finding.verdict)},
                          {"subject", finding.subject},
                          {"detail", finding.detail},
                          {"advice", finding.advice}}
        .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string padded(std::string text, std::size_t width) {
    text.resize(std::max(text.size(), width), ' ');
    return text;
}

}  // namespace

std::vector<Finding> examine(const config::Config& config, StoreWriting writing) {
    std::vector<Finding> findings;
    examine_store(config, writing, findings);
    examine_disk(config, findings);
    examine_network(config, findings);
    examine_dht(config, findings);
    return findings;
}

int doctor(const config::Config& config, const config::DoctorOptions& options,
           const std::function<void(const std::string& line)>& print) {
    bool faulty = false;
    const auto writing = options.read_only ? StoreWriting::kLeftOut : StoreWriting::kTried;
    for (const Finding& finding : examine(config, writing)) {
        faulty = faulty || finding.verdict == Verdict::kFault;
        if (options.json) {
            print(json_line(finding));
            continue;
        }
        print(padded(name_of(finding.verdict), 9) + padded(finding.subject, 8) + finding.detail);
        if (!finding.advice.empty()) print(std::string(17, ' ') + "-> " + finding.advice);
    }
    return faulty ? config::kExitFailure : config::kExitOk;
}

}  // namespace kollator::app
