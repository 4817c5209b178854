#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <utility>

#include "cli/guarded.h"
#include "cli/transfer.h"
#include "config/command_line.h"
#include "crypto/hash.h"
#include "crypto/metainfo.h"

namespace kollator::cli {
namespace {

/// What a worker takes: 32 bytes for each 5 MiB, so more than 1 TB of file.
constexpr std::uint32_t kMaxMetadataBytes = 8 * 1024 * 1024;
constexpr std::size_t kMaxNameBytes = 255;

Result<SharedFileInfo> parse_share(ByteSpan bytes, const MetadataId& info_hash) {
    const auto metainfo = crypto::parse_metainfo(bytes, kMaxMetadataBytes);
    if (!metainfo) return metainfo.error();
    if (metainfo->info_hash != info_hash) {
        return make_error(ErrorCode::kCorrupt, "the metadata does not match its name");
    }
    if (metainfo->file_count != 1) {
        return make_error(ErrorCode::kInvalid, "the link is of a torrent of several files");
    }
    if (metainfo->chunk_size_bytes == 0) {
        return make_error(ErrorCode::kInvalid, "the metadata has no list of chunks");
    }
    SharedFileInfo info{
        std::string(metainfo->name), metainfo->length_bytes, metainfo->chunk_size_bytes, {}};
    for (std::size_t i = 0; i < metainfo->chunk_count(); ++i) {
        info.chunks.push_back(metainfo->chunk(i));
    }
    return info;
}

/// Blocks: for a job.
Status write_all(int descriptor, ByteSpan bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) {
            return make_error(ErrorCode::kUnavailable,
                              std::string("standard output: ") + std::strerror(errno));
        }
        bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
    return {};
}

}  // namespace

std::uint32_t SharedFileInfo::chunk_bytes(std::size_t index) const {
    const std::uint64_t offset = static_cast<std::uint64_t>(index) * chunk_size_bytes;
    return static_cast<std::uint32_t>(
        std::min<std::uint64_t>(chunk_size_bytes, size_bytes - offset));
}

void open_share(TransferContext& context, const MetadataId& info_hash,
                std::function<void(Result<SharedFileInfo>)> done) {
    context.access.run<SharedBuffer>(
        [info_hash](peer::Connection& connection, peer::Done<SharedBuffer> told) {
            connection.requests().fetch(info_hash, kMaxMetadataBytes, {}, std::move(told));
        },
        [&context, info_hash, done = std::move(done)](Result<SharedBuffer> bytes) {
            if (!bytes) return done(bytes.error());
            context.jobs.run(
                context.loop,
                [bytes = *bytes, info_hash] { return parse_share(bytes->span(), info_hash); },
                done);
        });
}

std::string safe_name(const std::string& name, const MetadataId& info_hash) {
    std::string safe = name.substr(name.find_last_of("/\\") + 1);  // npos + 1 is 0
    std::erase_if(safe, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
    safe.resize(std::min(safe.size(), kMaxNameBytes));
    return safe.empty() || safe == "." || safe == ".." ? info_hash.hex() : safe;
}

struct Download::Impl : Guarded<Download::Impl> {
    Impl(TransferContext& the_context, const MetadataId& the_hash, GetOptions the_options,
         Done the_done)
        : context(the_context),
          info_hash(the_hash),
          options(std::move(the_options)),
          done(std::move(the_done)) {}

    void begin();
    void choose_output();
    void open_partial();
    void verify_partial();
    void next_chunks();
    void fetch(std::size_t index);
    void take_chunk(std::size_t index, SharedBuffer bytes);
    void write(std::size_t index, SharedBuffer bytes);
    void write_in_order();
    void chunk_done(std::size_t index, bool fetched);
    void finish();
    void end(std::optional<Failure> failure);
    void report();
    bool to_stdout() const { return options.output == "-"; }
    std::uint64_t offset_of(std::size_t index) const {
        return static_cast<std::uint64_t>(index) * info.chunk_size_bytes;
    }

    TransferContext& context;
    const MetadataId info_hash;
    const GetOptions options;
    Done done;
    SharedFileInfo info;
    std::filesystem::path partial;
    std::shared_ptr<File> file;
    std::uint64_t partial_bytes = 0;
    std::vector<bool> there;
    std::size_t next = 0;
    std::size_t verified = 0;
    std::size_t in_flight = 0;
    std::size_t finished = 0;
    std::map<std::size_t, SharedBuffer> waiting;  // for their turn, to standard output
    std::size_t next_written = 0;
    bool writing = false;
    std::map<std::size_t, std::uint32_t> arriving;
    TransferProgress progress;
    GetResult result;
};

void Download::Impl::begin() {
    open_share(context, info_hash, guarded([](Impl& self, Result<SharedFileInfo> opened) {
                   if (!opened) return self.end(failure_of(opened.error(), self.context.access));
                   self.info = std::move(*opened);
                   self.progress.total = self.info.size_bytes;
                   self.result.size_bytes = self.info.size_bytes;
                   self.result.chunks = self.info.chunks.size();
                   self.there.resize(self.info.chunks.size());
                   self.report();
                   self.choose_output();
               }));
}

void Download::Impl::choose_output() {
    result.path = options.output.empty() ? std::filesystem::path(safe_name(info.name, info_hash))
                                         : options.output;
    if (to_stdout()) {
        if (info.chunks.empty()) return end(std::nullopt);
        return next_chunks();
    }
    open_partial();
}

void Download::Impl::open_partial() {
    struct Opened {
        std::filesystem::path path;
        std::filesystem::path partial;
        std::shared_ptr<File> file;
        std::uint64_t size_bytes = 0;
    };
    const bool names_folder = !options.output.empty();
    context.jobs.run(
        context.loop,
        [&files = context.files, path = result.path, names_folder, replace = options.replace,
         hex = info_hash.hex(), name = safe_name(info.name, info_hash),
         whole = info.size_bytes]() mutable -> Result<Opened> {
            auto found = files.info(path);
            if (found && found->is_directory && names_folder) {
                path /= name;
                found = files.info(path);
            }
            if (found && !replace) {
                return make_error(ErrorCode::kInvalid,
                                  path.string() + " exists: --force replaces it");
            }
            Opened opened{path, path, nullptr, 0};
            opened.partial += "." + hex.substr(0, 8) + ".part";
            auto made = files.open_write(opened.partial);
            if (!made) return made.error();
            opened.file = std::move(*made);
            const auto size = opened.file->size();
            if (!size) return size.error();
            opened.size_bytes = *size;
            if (*size > whole) {
                return make_error(ErrorCode::kInvalid,
                                  opened.partial.string() +
                                      " is larger than the file that is fetched: remove it");
            }
            return opened;
        },
        guarded([](Impl& self, Result<Opened> opened) {
            if (!opened) return self.end(local_failure(opened.error()));
            self.result.path = opened->path;
            self.partial = opened->partial;
            self.file = opened->file;
            self.partial_bytes = opened->size_bytes;
            if (self.info.chunks.empty()) return self.finish();
            self.verify_partial();
        }));
}

/// What an earlier run has left: one chunk after the other, as the disk gives them.
void Download::Impl::verify_partial() {
    if (verified == info.chunks.size() || offset_of(verified) >= partial_bytes) {
        return next_chunks();
    }
    const std::size_t index = verified++;
    context.jobs.run(
        context.loop,
        [file = file, offset = offset_of(index), size = info.chunk_bytes(index),
         id = info.chunks[index]] {
            Buffer buffer(size);
            const auto read = file->read_at(offset, buffer.span());
            return read && *read == size && ChunkId(crypto::sha256(buffer.span())) == id;
        },
        guarded([index](Impl& self, bool right) {
            if (right) {
                self.there[index] = true;
                self.progress.skipped += self.info.chunk_bytes(index);
                self.chunk_done(index, false);
                if (!self.done) return;
            }
            self.verify_partial();
        }));
}

void Download::Impl::next_chunks() {
    // To standard output chunks that wait for their turn count too.
    while (next < info.chunks.size() && in_flight + waiting.size() < kTransferWindow) {
        const std::size_t index = next++;
        if (there[index]) continue;
        ++in_flight;
        fetch(index);
    }
    if (finished == info.chunks.size() && in_flight == 0 && !writing) finish();
}

void Download::Impl::fetch(std::size_t index) {
    const auto on_received = guarded([index](Impl& self, std::uint32_t bytes) {
        self.arriving[index] = bytes;
        self.report();
    });
    const std::uint32_t size = info.chunk_bytes(index);
    context.access.run<SharedBuffer>(
        [id = info.chunks[index], size, on_received](peer::Connection& connection,
                                                     peer::Done<SharedBuffer> told) {
            peer::Requests::CallOptions call;
            call.on_progress = on_received;
            auto check = [size, told = std::move(told)](Result<SharedBuffer> bytes) {
                if (bytes && (*bytes)->size() != size) {
                    return told(make_error(ErrorCode::kCorrupt,
                                           "a chunk of another size than the metadata says"));
                }
                told(std::move(bytes));
            };
            connection.requests().fetch(id, size, std::move(call), std::move(check));
        },
        guarded([index](Impl& self, Result<SharedBuffer> bytes) {
            if (!bytes) return self.end(failure_of(bytes.error(), self.context.access));
            self.take_chunk(index, std::move(*bytes));
        }));
}

void Download::Impl::take_chunk(std::size_t index, SharedBuffer bytes) {
    if (!to_stdout()) return write(index, std::move(bytes));
    --in_flight;
    waiting.emplace(index, std::move(bytes));
    write_in_order();
}

void Download::Impl::write(std::size_t index, SharedBuffer bytes) {
    context.jobs.run(
        context.loop,
        [file = file, offset = offset_of(index), bytes = std::move(bytes)] {
            return file->write_at(offset, bytes->span());
        },
        guarded([index](Impl& self, const Status& written) {
            if (!written) return self.end(local_failure(written.error()));
            --self.in_flight;
            self.chunk_done(index, true);
            if (self.done) self.next_chunks();
        }));
}

void Download::Impl::write_in_order() {
    const auto found = waiting.find(next_written);
    if (writing || found == waiting.end()) return;
    writing = true;
    context.jobs.run(
        context.loop, [bytes = found->second] { return write_all(STDOUT_FILENO, bytes->span()); },
        guarded([](Impl& self, const Status& written) {
            if (!written) return self.end(local_failure(written.error()));
            self.writing = false;
            self.waiting.erase(self.next_written);
            self.chunk_done(self.next_written++, true);
            self.write_in_order();
            self.next_chunks();
        }));
}

void Download::Impl::chunk_done(std::size_t index, bool fetched) {
    arriving.erase(index);
    progress.done += info.chunk_bytes(index);
    ++finished;
    result.fetched += fetched ? 1 : 0;
    report();
}

void Download::Impl::finish() {
    if (to_stdout()) return end(std::nullopt);
    context.jobs.run(
        context.loop,
        [&files = context.files, file = file, from = partial, to = result.path]() -> Status {
            if (Status synced = file->sync_data(); !synced) return synced;
            return files.rename(from, to);
        },
        guarded([](Impl& self, const Status& renamed) {
            if (!renamed) return self.end(local_failure(renamed.error()));
            self.end(std::nullopt);
        }));
}

void Download::Impl::report() {
    if (!context.on_progress) return;
    TransferProgress now = progress;
    for (const auto& [index, bytes] : arriving) now.done += bytes;
    context.on_progress(now);
}

void Download::Impl::end(std::optional<Failure> failure) {
    const Done tell = std::exchange(done, nullptr);
    if (tell) tell(failure, result);
}

Download::Download(TransferContext& context, const MetadataId& info_hash, GetOptions options,
                   Done done)
    : impl_(std::make_shared<Impl>(context, info_hash, std::move(options), std::move(done))) {
    impl_->begin();
}

Download::~Download() {
    impl_->done = nullptr;
}

}  // namespace kollator::cli
