#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/worker_client.h"
#include "config/command_line.h"

namespace kollator::cli {

/// Where a command's lines go. Each gets whole lines, without the newline.
struct Output {
    std::function<void(const std::string& line)> result;  ///< what was asked for: stdout
    std::function<void(const std::string& line)> fault;   ///< what went wrong: stderr
};

/// `kollator ls`: a line for each chunk or torrent, page after page. Gives the exit code.
///
///     <hash> TAB <size>                     chunks
///     <hash> TAB <size of the files> TAB <name>    torrents; "-" for what the worker does not know
///     {"hash":…,"size":…}                   with --json, one document a line
int list(WorkerClient& worker, const config::ListOptions& options, const Output& output);

/// `kollator rm`: removes each, and goes on after a failure that is that one's own. Gives the exit
/// code of the first failure.
int remove(WorkerClient& worker, const config::RemoveOptions& options, const Output& output);

}  // namespace kollator::cli
