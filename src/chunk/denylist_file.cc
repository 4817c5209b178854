#include "chunk/denylist_file.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "base/log.h"

namespace kollator::chunk {
namespace {

const log::Logger kLog("denylist");

/// A file that differs after every reading is in force all the same after so many of them.
constexpr unsigned kMaxUnsettled = 3;

}  // namespace

DenylistFile::DenylistFile(EventLoop& loop, JobPool& jobs, FileSystem& fs,
                           std::filesystem::path path, OnChange on_change)
    : loop_(loop),
      jobs_(jobs),
      fs_(fs),
      path_(std::move(path)),
      on_change_(std::move(on_change)),
      timer_(loop) {}

Status DenylistFile::load() {
    const auto first = read(fs_, path_);
    if (!first) return first.error();
    take(*first);
    poll_later();
    return {};
}

void DenylistFile::reload() {
    loaded_.reset();
    pending_.reset();
    unsettled_ = kMaxUnsettled;
    if (timer_.active()) poll();
}

/// Behind links: orchestrators change a mounted file by pointing a link elsewhere.
Result<DenylistFile::Look> DenylistFile::look(FileSystem& fs, const std::filesystem::path& path) {
    std::error_code error;
    Look look;
    look.target = std::filesystem::canonical(path, error);
    if (error) {
        const bool gone = error == std::errc::no_such_file_or_directory;
        return make_error(gone ? ErrorCode::kNotFound : ErrorCode::kUnavailable,
                          path.string() + ": " + error.message());
    }
    const auto info = fs.info(look.target);
    if (!info) return info.error();
    if (!info->is_regular) {
        return make_error(ErrorCode::kUnavailable, path.string() + " is no file");
    }
    look.inode = info->inode;
    look.size_bytes = info->size_bytes;
    look.modified_ns = info->modified_ns;
    return look;
}

Result<DenylistFile::Read> DenylistFile::read(FileSystem& fs, const std::filesystem::path& path) {
    const auto before = look(fs, path);
    if (!before) return before.error();
    const auto bytes = read_file(fs, path, kMaxDenylistBytes);
    if (!bytes) return bytes.error();
    const auto after = look(fs, path);
    if (!after) return after.error();
    return Read{*before, *after, parse_denylist(*bytes)};
}

void DenylistFile::poll_later() {
    timer_.start_after(kInterval, [this] { poll(); });
}

void DenylistFile::poll() {
    timer_.cancel();
    jobs_.run(
        loop_, [&fs = fs_, path = path_] { return look(fs, path); },
        [this, alive = std::weak_ptr(alive_)](const Result<Look>& now) {
            if (!alive.expired()) on_look(now);
        });
}

void DenylistFile::on_look(const Result<Look>& now) {
    if (!now) {
        note_error(now.error());
        return poll_later();
    }
    if (loaded_ == *now) {
        state_.error.reset();
        pending_.reset();
        unsettled_ = 0;
        return poll_later();
    }
    if (pending_ && pending_->after == *now) {
        take(*std::exchange(pending_, std::nullopt));
        return poll_later();
    }
    // Read at the first look already: what takes long is done by the time that it has settled.
    jobs_.run(
        loop_, [&fs = fs_, path = path_] { return read(fs, path); },
        [this, first = *now, seen = loop_.now(),
         alive = std::weak_ptr(alive_)](const Result<Read>& result) {
            if (!alive.expired()) on_read(result, first, seen);
        });
}

void DenylistFile::on_read(const Result<Read>& read, const Look& first, TimePoint seen) {
    if (!read) {
        note_error(read.error());
        return poll_later();
    }
    if (unsettled_ >= kMaxUnsettled) {
        take(*read);
        return poll_later();
    }
    ++unsettled_;
    pending_.reset();
    if (read->before != first || read->after != first) return poll_later();
    pending_ = *read;
    timer_.start_at(std::max(seen + kInterval, loop_.now()), [this] { poll(); });
}

void DenylistFile::take(const Read& read) {
    loaded_ = read.before;
    pending_.reset();
    unsettled_ = 0;
    state_.hashes = read.parsed.list->size();
    state_.faults = read.parsed.faults;
    state_.fault_count = read.parsed.fault_count;
    state_.error.reset();
    kLog.info("event=loaded path=\"{}\" hashes={} wrong_lines={}", path_.string(), state_.hashes,
              state_.fault_count);
    for (const DenylistFault& fault : state_.faults) {
        kLog.warn("event=wrong-line path=\"{}\" line={} reason=\"{}\"", path_.string(), fault.line,
                  fault.what);
    }
    on_change_(read.parsed.list);
}

void DenylistFile::note_error(const Error& error) {
    if (!state_.error) {
        kLog.error("event=unreadable path=\"{}\" hashes_in_force={} reason=\"{}\"", path_.string(),
                   state_.hashes, error.detail);
    }
    state_.error = error;
}

}  // namespace kollator::chunk
