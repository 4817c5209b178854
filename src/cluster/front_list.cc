#include "cluster/front_list.h"

#include <algorithm>
#include <utility>

#include "base/worker_id.h"
#include "protocol/json.h"

namespace kollator::cluster {

Result<std::vector<ListedWorker>> parse_workers(std::string_view body) {
    const auto document = protocol::parse_json(body, {.max_bytes = 256 * 1024, .max_depth = 8});
    if (!document) {
        return make_error(document.error().code,
                          "the front's list of workers: " + document.error().detail);
    }
    if (!document->is_array()) {
        return make_error(ErrorCode::kInvalid, "the front's list of workers is no list");
    }
    std::vector<ListedWorker> workers;
    for (const auto& entry : *document) {
        if (workers.size() == kMaxListedWorkers) break;
        const std::string* id = protocol::find_string(entry, "id");
        if (id == nullptr || !is_worker_id(*id)) continue;
        const std::string* url = protocol::find_string(entry, "url");
        workers.push_back({*id, url != nullptr ? *url : "",
                           protocol::find_bool(entry, "draining").value_or(false)});
    }
    return workers;
}

}  // namespace kollator::cluster
