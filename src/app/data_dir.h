#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/file_system.h"
#include "base/random.h"
#include "base/result.h"

namespace kollator::app {

/// The folder of all that must last, held by one process at a time.
///
///     lock              held (flock) while the process lives
///     worker.id         this worker's name, where WORKER_ID gives none
///     worker.key        the key shared with the fronts (0600)
///     certificate.pem   the DTLS identity (0600)
///     cache/            the disk cache
///     journal/          objects on their way to the object store (WRITE_POLICY=back)
///     metadata/         torrents' metadata, cached
///     deletes           deletions that wait for their day
///     denylist.purged   which denylist the object store has been purged of
///     dht.state         the DHT node's id and routing table
///     store/            the objects, where no S3 is configured
///     egress            what S3 sent in this calendar month
class DataDir {
 public:
    /// Makes the folder when missing. kLimit: another process has it.
    static Result<DataDir> open(FileSystem& fs, const std::filesystem::path& path);

    DataDir(DataDir&&) noexcept;
    DataDir& operator=(DataDir&&) noexcept;
    ~DataDir();

    std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

    /// The name that was kept, or a new one, kept from now on.
    Result<std::string> worker_id(Random& random);

 private:
    DataDir(FileSystem& fs, std::filesystem::path path, int lock);

    FileSystem* fs_;
    std::filesystem::path path_;
    int lock_;  // the descriptor that holds the flock; -1 after a move
};

}  // namespace kollator::app
