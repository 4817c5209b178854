#pragma once

#include <functional>
#include <string>
#include <vector>

#include "config/command_line.h"
#include "config/config.h"

namespace kollator::app {

enum class Verdict { kGood, kWarning, kFault };

/// One thing that was looked at.
struct Finding {
    Verdict verdict = Verdict::kGood;
    std::string subject;  ///< "store", "cache", "disk", "ports", "webrtc", "stun", "turn", "dht"
    std::string detail;   ///< what was found
    std::string advice;   ///< what to do about it; empty where nothing
};

/// Whether an object is written to the object store, and deleted again.
enum class StoreWriting { kTried, kLeftOut };

/// Tries what the settings of a worker say: `kollator doctor`. Blocks for as long as the slowest of
/// the servers is silent, about half a minute at most.
std::vector<Finding> examine(const config::Config& config, StoreWriting writing);

/// Runs examine() and prints. Gives the exit code: kExitFailure where there is a fault.
int doctor(const config::Config& config, const config::DoctorOptions& options,
           const std::function<void(const std::string& line)>& print);

}  // namespace kollator::app
