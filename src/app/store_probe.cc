#include "app/store_probe.h"

#include "base/log.h"

namespace kollator::app {
namespace {

const log::Logger kLog("s3");

}  // namespace

StoreProbe::StoreProbe(EventLoop& loop, store::ObjectStore& store) : store_(store), timer_(loop) {
    ask();
}

void StoreProbe::ask() {
    request_ = store_.probe([this](const Status& status) { on_answer(status); });
}

void StoreProbe::on_answer(const Status& status) {
    const bool changed = pending_ || status.ok() != last_.ok();
    if (changed && !status) {
        kLog.error("store={} unusable={} detail=\"{}\"", store_.describe(),
                   to_string(status.error().code), status.error().detail);
    } else if (changed) {
        kLog.info("store={} usable", store_.describe());
    }
    last_ = status;
    pending_ = false;
    timer_.start_after(kInterval, [this] { ask(); });
}

}  // namespace kollator::app
