#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/worker_access.h"
#include "config/command_line.h"

namespace kollator::cli {

/// What the commands over WebRTC share.
struct TransferSetup {
    config::WorkerChoice choice;
    std::string agent;  ///< "kollator/0.1.0"
    decltype(AccessOptions::ice_servers) ice_servers;
    /// For who gives neither a front nor a worker: the values of KOLLATOR_FRONT and KOLLATOR_URL.
    std::string environment_front;
    std::string environment_worker;
};

/// `kollator put`: prints each file's link, or with --json
/// `{"file":…,"link":…,"hash":…,"size":…,"chunks":…,"sent":…}`. Goes on after a file that cannot
/// be read. Gives the exit code of the first failure.
int put(const TransferSetup& setup, const config::PutOptions& options, const Output& output);

/// `kollator get`: prints the path of what was written, or with --json
/// `{"file":…,"hash":…,"size":…,"chunks":…,"fetched":…}`; nothing with "-o -".
int get(const TransferSetup& setup, const config::GetOptions& options, const Output& output);

/// `kollator stat`: for each, `<hash> TAB <size> TAB <chunks stored>/<chunks> TAB <chunks cached>
/// TAB <name>`, or with --json a document of the same. kExitNotFound where one is not wholly
/// stored.
int stat(const TransferSetup& setup, const config::StatOptions& options, const Output& output);

/// `kollator ls` with a choice: the chunks in the object store, or in the worker's cache, as the
/// `ls` of cli/commands.h prints them.
int list_chunks(const TransferSetup& setup, const config::ListOptions& options,
                const Output& output);

/// `kollator health`: prints the worker's document. kExitFailure where its status is "error".
int health(const TransferSetup& setup, const Output& output);

}  // namespace kollator::cli
