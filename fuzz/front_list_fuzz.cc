// A front's list of workers, of any bytes: every entry that is taken has a worker's id.
#include <cstdint>
#include <cstdlib>

#include "base/bytes.h"
#include "base/worker_id.h"
#include "cluster/front_list.h"

using namespace kollator;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto workers = cluster::parse_workers(as_text({data, size}));
    if (!workers) return 0;
    if (workers->size() > cluster::kMaxListedWorkers) std::abort();
    for (const cluster::ListedWorker& worker : *workers) {
        if (!is_worker_id(worker.id)) std::abort();
    }
    return 0;
}
