#pragma once

#include <filesystem>
#include <memory>

#include "base/file_system.h"
#include "base/random.h"
#include "loop/event_loop.h"
#include "loop/job_pool.h"
#include "store/object_store.h"

namespace kollator::store {

struct FilesystemStoreOptions {
    /// Made where it is missing. Layout: `chunks/ab/<hash>` and `torrents/ab/<hash>`, where `ab` is
    /// the hash's first byte, and `tmp/` for what is being written.
    std::filesystem::path root;
};

/// Objects as files. A file appears under its name only when its bytes are on the disk, and put()
/// answers only when its name is there too; several processes may share one folder. Blocking calls
/// happen in `jobs`; `random` names temporary files and is used on the loop's thread.
///
/// Comes at once: the folders are made and what crashes left behind is cleaned by a first job, and
/// requests wait for it. A folder that cannot be used shows in probe() and in every request.
/// Besides the errors of ObjectStore: kLimit where the disk is full, kUnavailable where it is
/// read-only, broken or not mounted any more. `loop`, `jobs`, `fs` and `random` outlive the store;
/// `fs` and `loop` outlive `jobs` too.
std::unique_ptr<ObjectStore> make_filesystem_store(EventLoop& loop, JobPool& jobs, FileSystem& fs,
                                                   Random& random, FilesystemStoreOptions options);

}  // namespace kollator::store
