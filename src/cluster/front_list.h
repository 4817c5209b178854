#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kollator::cluster {

/// Entries of a front's list that are looked at.
inline constexpr std::size_t kMaxListedWorkers = 1024;

struct ListedWorker {
    std::string id;
    std::string url;  ///< may be empty
    bool draining = false;

    bool operator==(const ListedWorker&) const = default;
};

/// What a front answers to GET /workers (docs/protocol.md, 1.2). Entries that name no worker are
/// left out. kInvalid, kLimit: no such document.
Result<std::vector<ListedWorker>> parse_workers(std::string_view body);

}  // namespace kollator::cluster
