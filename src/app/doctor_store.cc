// The object store, and the disk under everything else.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>

#include "app/doctor_checks.h"
#include "app/stores.h"
#include "base/file_system.h"
#include "crypto/hash.h"
#include "crypto/system_random.h"
#include "loop/system_clock.h"
#include "store/s3/s3_store.h"

namespace kollator::app {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kStoreTimeout{30};
/// Below this a cache has hardly room for what is being read at the moment.
constexpr std::uint64_t kUsefulCacheChunks = 20;
/// What a machine needs beside the worker's own files.
constexpr std::uint64_t kSpareBytes = 64'000'000;

double megabytes(std::uint64_t bytes) {
    return static_cast<double>(bytes) / 1e6;
}

std::string advice_for(const Error& error) {
    switch (error.code) {
        case ErrorCode::kInvalid:
            return "the store refuses these credentials or this bucket: compare S3_ACCESS_KEY, "
                   "S3_SECRET_KEY, S3_BUCKET and S3_REGION with the provider's console; the clock "
                   "of this machine must be right to 15 minutes too";
        case ErrorCode::kNotFound:
            return "make the bucket, or correct S3_BUCKET (and S3_PATH_STYLE, where the provider "
                   "wants the bucket in the host name)";
        case ErrorCode::kTimeout:
        case ErrorCode::kUnavailable:
            return "look at S3_ENDPOINT (scheme, host, port), at name resolution and at the "
                   "firewall from here to there; for a certificate of your own name its authority "
                   "in S3_CA_FILE";
        default:
            return "look at the settings that begin with S3_";
    }
}

/// A loop that runs until one request of the store is answered.
class StoreExam {
 public:
    StoreExam(EventLoop& loop, store::ObjectStore& store) : loop_(loop), store_(store) {}

    Status probe() {
        return ask([&](auto done) { return store_.probe(std::move(done)); });
    }
    /// A chunk of a few random bytes: stored, read back and deleted.
    Status write();
    Status read_back();
    Status remove() {
        return ask([&](auto done) { return store_.remove(key_, std::move(done)); });
    }
    std::string object() const { return key_.path(); }

 private:
    static constexpr std::size_t kProbeBytes = 64;

    Status ask(const std::function<store::TransferHandle(store::ObjectStore::OnDone)>& begin) {
        std::optional<Status> answer;
        const auto request = begin([&](Status status) { answer = std::move(status); });
        loop_.run_until([&] { return answer.has_value(); }, kStoreTimeout);
        return answer.value_or(Status(make_error(ErrorCode::kTimeout, "no answer")));
    }

    EventLoop& loop_;
    store::ObjectStore& store_;
    SharedBuffer bytes_;
    store::ObjectKey key_{ChunkId()};
};

Status StoreExam::write() {
    auto bytes = std::make_shared<Buffer>(kProbeBytes);
    crypto::system_random().fill(bytes->span());
    bytes_ = bytes;
    const auto digest = crypto::sha256(bytes_->span());
    key_ = store::ObjectKey(ChunkId(digest));
    return ask([&](auto done) {
        return store_.put(key_, bytes_, digest, [done](const Result<store::PutOutcome>& outcome) {
            done(outcome ? Status() : Status(outcome.error()));
        });
    });
}

Status StoreExam::read_back() {
    return ask([&](auto done) {
        return store_.get(key_, {}, nullptr, [this, done](const Result<SharedBuffer>& got) {
            if (!got) return done(got.error());
            const bool same = std::ranges::equal((*got)->span(), bytes_->span());
            done(same ? Status() : make_error(ErrorCode::kCorrupt, "other bytes came back"));
        });
    });
}

/// Empty where all is well.
std::optional<Finding> examine_writing(StoreExam& exam, const std::string& name) {
    if (const Status written = exam.write(); !written) {
        const bool refused = written.error().code == ErrorCode::kInvalid;
        return Finding{Verdict::kFault, "store",
                       name + ": can be read, but not written to: " + written.error().detail,
                       refused ? "let these credentials put objects into the bucket "
                                 "(s3:PutObject), or name others in S3_ACCESS_KEY and "
                                 "S3_SECRET_KEY"
                               : advice_for(written.error())};
    }
    const Status read = exam.read_back();
    const Status removed = exam.remove();
    if (!read) {
        return Finding{Verdict::kFault, "store",
                       name + ": what was written cannot be read: " + read.error().detail,
                       "let these credentials get objects (s3:GetObject)"};
    }
    if (!removed) {
        return Finding{Verdict::kWarning, "store",
                       fmt::format("{}: {} was written and cannot be deleted: {}", name,
                                   exam.object(), removed.error().detail),
                       "let these credentials delete objects (s3:DeleteObject), where `kollator "
                       "rm` and expiry are to work"};
    }
    return std::nullopt;
}

/// Where `path`, or what of it exists, lies.
fs::path existing(fs::path path) {
    path = fs::absolute(path);
    while (!posix_file_system().info(path) && path.has_parent_path() &&
           path != path.parent_path()) {
        path = path.parent_path();
    }
    return path;
}

/// Writes and removes a file there.
Status try_to_write(const fs::path& folder) {
    FileSystem& files = posix_file_system();
    const fs::path probe = folder / ".kollator-doctor";
    auto file = files.open_write(probe, 0600);
    if (!file) return file.error();
    const Bytes bytes(4096, 0);
    Status written = (*file)->write_at(0, bytes);
    if (written) written = (*file)->sync_data();
    const Status removed = files.remove(probe);
    return written ? removed : written;
}

std::uint64_t bytes_under(const fs::path& folder) {
    std::uint64_t sum = 0;
    std::error_code error;
    for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end;
         at.increment(error)) {
        if (at->is_regular_file(error)) sum += at->file_size(error);
    }
    return sum;
}

void examine_folder(const char* subject, const fs::path& wanted, std::uint64_t needed_bytes,
                    const char* setting, std::vector<Finding>& findings) {
    const fs::path folder = existing(wanted);
    const std::string where = fs::absolute(wanted).string();
    if (const Status written = try_to_write(folder); !written) {
        const bool full = written.error().code == ErrorCode::kLimit;
        return findings.push_back(
            {Verdict::kFault, subject, written.error().detail,
             full ? fmt::format("free space on the disk of {}, or move it by {}", where, setting)
                  : fmt::format("let the worker's user write to {}, or move it by {}", where,
                                setting)});
    }
    const auto space = posix_file_system().space(folder);
    if (!space) return;
    const std::uint64_t usable = space->available_bytes + bytes_under(wanted);
    const std::string found =
        fmt::format("{}: {:.0f} MB free, {:.0f} MB wanted at most", where,
                    megabytes(space->available_bytes), megabytes(needed_bytes));
    if (space->available_bytes < kSpareBytes) {
        return findings.push_back(
            {Verdict::kFault, subject, found,
             fmt::format("the disk is full: free space, or move it by {}", setting)});
    }
    if (usable < needed_bytes + kSpareBytes) {
        return findings.push_back(
            {Verdict::kWarning, subject, found,
             fmt::format("the disk cannot hold what the settings allow: lower them, free space, "
                         "or move it by {}",
                         setting)});
    }
    findings.push_back({Verdict::kGood, subject, found, ""});
}

}  // namespace

void examine_store(const config::Config& config, StoreWriting writing,
                   std::vector<Finding>& findings) {
    if (!config.uses_s3()) {
        findings.push_back({Verdict::kGood, "store",
                            "a folder under DATA_DIR (no S3_ENDPOINT is set): see \"disk\"", ""});
        return;
    }
    EventLoop loop;
    JobPool jobs(1);
    store::S3Options options = s3_options(config);
    options.jobs = &jobs;
    options.files = &posix_file_system();
    auto store = store::make_s3_store(loop, system_clock(), crypto::system_random(), options);
    if (!store) {
        findings.push_back(
            {Verdict::kFault, "store", store.error().detail, advice_for(store.error())});
        return;
    }
    StoreExam exam(loop, **store);
    const auto began = loop.now();
    const Status answer = exam.probe();
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(loop.now() - began);
    const std::string name = (*store)->describe();
    if (!answer) {
        return findings.push_back({Verdict::kFault, "store", name + ": " + answer.error().detail,
                                   advice_for(answer.error())});
    }
    if (writing == StoreWriting::kTried) {
        if (auto finding = examine_writing(exam, name)) {
            return findings.push_back(*std::move(finding));
        }
    }
    const bool tried = writing == StoreWriting::kTried;
    findings.push_back({Verdict::kGood, "store",
                        fmt::format("{}: answers in {} ms; {}", name, took.count(),
                                    tried ? "a small object was written, read and deleted again"
                                          : "writing was not tried"),
                        ""});
}

void examine_disk(const config::Config& config, std::vector<Finding>& findings) {
    const fs::path cache =
        config.cache_path.empty() ? config.data_dir / "cache" : config.cache_path;
    if (config.cache_size_bytes < kUsefulCacheChunks * config.max_chunk_bytes) {
        findings.push_back(
            {Verdict::kWarning, "cache",
             fmt::format("room for {} chunks of MAX_CHUNK_BYTES",
                         config.cache_size_bytes / config.max_chunk_bytes),
             fmt::format("so small a cache is emptied before anybody asks again: CACHE_SIZE_MB "
                         "should be {:.0f} at least",
                         megabytes(kUsefulCacheChunks * config.max_chunk_bytes))});
    }
    examine_folder("cache", cache, config.cache_size_bytes, "CACHE_PATH", findings);
    std::uint64_t data_bytes = config.metadata_cache_size_bytes;
    if (config.write_policy == config::WritePolicy::kBack) data_bytes += config.write_backlog_bytes;
    examine_folder("disk", config.data_dir, data_bytes, "DATA_DIR", findings);
}

}  // namespace kollator::app
