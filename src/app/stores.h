#pragma once

#include <memory>

#include "app/data_dir.h"
#include "base/metrics.h"
#include "config/config.h"
#include "loop/job_pool.h"
#include "store/journal/journaled_store.h"
#include "store/object_store.h"
#include "store/s3/s3_store.h"

namespace kollator::app {

/// What the settings say of the S3 store, but for what it is given to work with.
store::S3Options s3_options(const config::Config& config);

/// The object store that the settings choose: S3 where S3_ENDPOINT is set, else the folder
/// `store` in the data folder. Everything given outlives it. kInvalid: a setting is wrong.
Result<std::unique_ptr<store::ObjectStore>> open_object_store(const config::Config& config,
                                                              const DataDir& data, EventLoop& loop,
                                                              JobPool& jobs,
                                                              MetricsRegistry& metrics);

/// The journal in front of `below`, where WRITE_POLICY is `back` or an earlier run left something
/// in it; else null. Everything given outlives it. An error: its folder cannot be used.
Result<std::unique_ptr<store::JournaledStore>> open_journal(const config::Config& config,
                                                            const DataDir& data, EventLoop& loop,
                                                            JobPool& jobs,
                                                            store::ObjectStore& below,
                                                            MetricsRegistry& metrics);

}  // namespace kollator::app
