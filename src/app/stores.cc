#include "app/stores.h"

#include "crypto/system_random.h"
#include "loop/system_clock.h"
#include "store/filesystem_store.h"

namespace kollator::app {

store::S3Options s3_options(const config::Config& config) {
    store::S3Options options;
    options.endpoint = config.s3_endpoint;
    options.region = config.s3_region;
    options.bucket = config.s3_bucket;
    options.access_key = config.s3_access_key;
    options.secret_key = config.s3_secret_key;
    options.session_token = config.s3_session_token;
    options.access_key_file = config.s3_access_key_file;
    options.secret_key_file = config.s3_secret_key_file;
    options.session_token_file = config.s3_session_token_file;
    options.address_style =
        config.s3_path_style ? store::S3AddressStyle::kPath : store::S3AddressStyle::kVirtualHost;
    options.ca_file = config.s3_ca_file.string();
    options.ca_path = config.s3_ca_path.string();
    options.max_transfers = config.s3_max_transfers;
    options.retry_percent = config.s3_retry_percent;
    options.breaker_failures = config.s3_breaker_failures;
    options.egress_budget_bytes = config.s3_egress_budget_bytes;
    options.egress_limited_bytes_per_second = config.s3_egress_limited_bytes_per_second;
    return options;
}

Result<std::unique_ptr<store::ObjectStore>> open_object_store(const config::Config& config,
                                                              const DataDir& data, EventLoop& loop,
                                                              JobPool& jobs,
                                                              MetricsRegistry& metrics) {
    if (!config.uses_s3()) {
        return store::make_filesystem_store(loop, jobs, posix_file_system(),
                                            crypto::system_random(),
                                            store::FilesystemStoreOptions{data / "store"});
    }
    store::S3Options options = s3_options(config);
    options.egress_file = data / "egress";
    options.metrics = &metrics;
    options.jobs = &jobs;
    options.files = &posix_file_system();
    return store::make_s3_store(loop, system_clock(), crypto::system_random(), std::move(options));
}

Result<std::unique_ptr<store::JournaledStore>> open_journal(const config::Config& config,
                                                            const DataDir& data, EventLoop& loop,
                                                            JobPool& jobs,
                                                            store::ObjectStore& below,
                                                            MetricsRegistry& metrics) {
    store::JournalOptions options;
    options.root = data / "journal";
    options.accepts = config.write_policy == config::WritePolicy::kBack;
    options.backlog.max_bytes = config.write_backlog_bytes;
    if (!options.accepts && !posix_file_system().info(options.root)) {
        return std::unique_ptr<store::JournaledStore>();
    }
    return store::JournaledStore::open(loop, jobs, posix_file_system(), system_clock(),
                                       crypto::system_random(), below, std::move(options), metrics);
}

}  // namespace kollator::app
