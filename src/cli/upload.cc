#include <algorithm>
#include <bit>
#include <map>
#include <utility>

#include "cli/guarded.h"
#include "cli/transfer.h"
#include "config/command_line.h"
#include "crypto/metainfo_builder.h"

namespace kollator::cli {
namespace {

constexpr std::uint32_t kMebibyte = 1024 * 1024;

/// One chunk, read and hashed: as a job.
struct HashedChunk {
    SharedBuffer bytes;
    ChunkId id;
    std::vector<crypto::Sha256Digest> unit_roots;
};

Result<HashedChunk> read_chunk(File& file, std::uint64_t offset, std::uint32_t size_bytes,
                               std::uint32_t unit_bytes) {
    auto buffer = std::make_shared<Buffer>(size_bytes);
    const auto read = file.read_at(offset, buffer->span());
    if (!read) return read.error();
    if (*read != size_bytes) {
        return make_error(ErrorCode::kInvalid, "the file became shorter while it was sent");
    }
    HashedChunk chunk;
    chunk.id = ChunkId(crypto::sha256(buffer->span()));
    chunk.unit_roots = crypto::merkle_unit_roots(buffer->span(), unit_bytes);
    chunk.bytes = std::move(buffer);
    return chunk;
}

bool is_there(const protocol::StatEntry& entry, std::size_t size_bytes) {
    return entry.residency != protocol::StatResidency::kNotStored &&
           entry.residency != protocol::StatResidency::kUnknown && entry.size_bytes == size_bytes;
}

}  // namespace

Failure failure_of(const Error& error, const WorkerAccess& access) {
    if (access.never_connected()) return {kExitUnreachable, error.detail};
    if (error.code == ErrorCode::kNotFound) return {kExitNotFound, error.detail};
    return {config::kExitFailure, error.detail};
}

Failure local_failure(const Error& error) {
    return {kExitLocalFile, error.detail};
}

std::uint32_t chunk_size_for(std::uint32_t max_chunk_bytes) {
    const std::uint32_t limit = std::min(max_chunk_bytes, protocol::kDefaultMaxChunkBytes);
    if (limit >= kMebibyte) return limit - limit % kMebibyte;
    return limit < crypto::kLeafBytes ? 0 : std::bit_floor(limit);
}

struct Upload::Impl : Guarded<Upload::Impl> {
    Impl(TransferContext& the_context, std::filesystem::path the_path, Done the_done)
        : context(the_context), path(std::move(the_path)), done(std::move(the_done)) {}

    void open();
    void learn_chunk_size();
    void next_chunks();
    void take_chunk(std::size_t index, HashedChunk chunk);
    void send_chunk(std::size_t index, SharedBuffer bytes, const ChunkId& id);
    void chunk_done(std::size_t index, bool sent);
    void send_metadata();
    void end(std::optional<Failure> failure);
    void report();
    std::uint32_t chunk_bytes(std::size_t index) const {
        const std::uint64_t offset = static_cast<std::uint64_t>(index) * shared.chunk_size_bytes;
        return static_cast<std::uint32_t>(
            std::min<std::uint64_t>(shared.chunk_size_bytes, shared.length_bytes - offset));
    }

    TransferContext& context;
    const std::filesystem::path path;
    Done done;
    std::shared_ptr<File> file;
    crypto::SharedFile shared;
    std::uint32_t unit_bytes = 0;
    std::vector<std::vector<crypto::Sha256Digest>> roots;
    std::size_t count = 0;
    std::size_t next = 0;
    std::size_t finished = 0;
    std::map<std::size_t, std::uint32_t> sending;  // bytes on their way
    TransferProgress progress;
    PutResult result;
};

void Upload::Impl::open() {
    shared.name = path.filename().string();
    context.jobs.run(
        context.loop,
        [&files = context.files, path = path]() -> Result<std::shared_ptr<File>> {
            const auto info = files.info(path);
            if (!info) return info.error();
            if (!info->is_regular) {
                return make_error(ErrorCode::kInvalid, path.string() + " is no file");
            }
            auto opened = files.open_read(path);
            if (!opened) return opened.error();
            return std::shared_ptr<File>(std::move(*opened));
        },
        guarded([](Impl& self, Result<std::shared_ptr<File>> opened) {
            if (!opened) return self.end(local_failure(opened.error()));
            self.file = std::move(*opened);
            const auto size = self.file->size();
            if (!size) return self.end(local_failure(size.error()));
            self.shared.length_bytes = *size;
            self.learn_chunk_size();
        }));
}

void Upload::Impl::learn_chunk_size() {
    context.access.run<std::uint32_t>(
        [](peer::Connection& connection, peer::Done<std::uint32_t> told) {
            told(connection.max_chunk_bytes());
        },
        guarded([](Impl& self, Result<std::uint32_t> max_bytes) {
            if (!max_bytes) return self.end(failure_of(max_bytes.error(), self.context.access));
            self.shared.chunk_size_bytes = chunk_size_for(*max_bytes);
            if (self.shared.chunk_size_bytes == 0) {
                return self.end(Failure{
                    config::kExitFailure,
                    "the worker takes chunks of " + std::to_string(*max_bytes) + " bytes only"});
            }
            const std::uint64_t size = self.shared.chunk_size_bytes;
            self.unit_bytes =
                crypto::merkle_unit_bytes(self.shared.chunk_size_bytes, self.shared.length_bytes);
            self.count = static_cast<std::size_t>((self.shared.length_bytes + size - 1) / size);
            self.shared.chunks.resize(self.count);
            self.roots.resize(self.count);
            self.progress.total = self.shared.length_bytes;
            self.result.size_bytes = self.shared.length_bytes;
            self.result.chunks = self.count;
            self.report();
            if (self.count == 0) return self.send_metadata();
            self.next_chunks();
        }));
}

void Upload::Impl::next_chunks() {
    while (next < count && next - finished < kTransferWindow) {
        const std::size_t index = next++;
        context.jobs.run(
            context.loop,
            [file = file, offset = static_cast<std::uint64_t>(index) * shared.chunk_size_bytes,
             size = chunk_bytes(index),
             unit = unit_bytes] { return read_chunk(*file, offset, size, unit); },
            guarded([index](Impl& self, Result<HashedChunk> chunk) {
                if (!chunk) return self.end(local_failure(chunk.error()));
                self.take_chunk(index, std::move(*chunk));
            }));
    }
}

void Upload::Impl::take_chunk(std::size_t index, HashedChunk chunk) {
    shared.chunks[index] = chunk.id;
    roots[index] = std::move(chunk.unit_roots);
    using Stats = std::vector<protocol::StatEntry>;
    context.access.run<Stats>(
        [id = chunk.id](peer::Connection& connection, peer::Done<Stats> told) {
            connection.requests().stat({id}, std::move(told));
        },
        guarded([index, bytes = chunk.bytes, id = chunk.id](Impl& self, Result<Stats> stats) {
            if (!stats) return self.end(failure_of(stats.error(), self.context.access));
            if (is_there(stats->front(), bytes->size())) return self.chunk_done(index, false);
            self.send_chunk(index, bytes, id);
        }));
}

void Upload::Impl::send_chunk(std::size_t index, SharedBuffer bytes, const ChunkId& id) {
    using Answer = protocol::StoreAnswer;
    const auto on_sent = guarded([index](Impl& self, std::uint32_t sent) {
        self.sending[index] = sent;
        self.report();
    });
    context.access.run<Answer>(
        [bytes = std::move(bytes), id, on_sent](peer::Connection& connection,
                                                peer::Done<Answer> told) {
            peer::Requests::CallOptions options;
            options.on_progress = on_sent;
            connection.requests().store(id, bytes, std::move(options), std::move(told));
        },
        guarded([index](Impl& self, Result<Answer> answer) {
            if (!answer) return self.end(failure_of(answer.error(), self.context.access));
            self.chunk_done(index, true);
        }));
}

void Upload::Impl::chunk_done(std::size_t index, bool sent) {
    sending.erase(index);
    progress.done += chunk_bytes(index);
    if (sent) {
        ++result.sent;
    } else {
        progress.skipped += chunk_bytes(index);
    }
    ++finished;
    report();
    if (finished == count) return send_metadata();
    next_chunks();
}

void Upload::Impl::send_metadata() {
    for (const auto& units : roots) {
        shared.unit_roots.insert(shared.unit_roots.end(), units.begin(), units.end());
    }
    context.jobs.run(
        context.loop, [file = shared] { return crypto::build_metainfo(file); },
        guarded([](Impl& self, crypto::BuiltMetainfo metainfo) {
            self.result.link = {metainfo.info_hash, self.shared.name};
            auto bytes = std::make_shared<Buffer>(metainfo.bytes.size());
            std::copy(metainfo.bytes.begin(), metainfo.bytes.end(), bytes->data());
            using Answer = protocol::StoreAnswer;
            self.context.access.run<Answer>(
                [bytes, id = metainfo.info_hash](peer::Connection& connection,
                                                 peer::Done<Answer> told) {
                    connection.requests().store(id, bytes, {}, std::move(told));
                },
                self.guarded([](Impl& then, const Result<Answer>& answer) {
                    if (answer) return then.end(std::nullopt);
                    then.end(failure_of(answer.error(), then.context.access));
                }));
        }));
}

void Upload::Impl::report() {
    if (!context.on_progress) return;
    TransferProgress now = progress;
    for (const auto& [index, bytes] : sending) now.done += bytes;
    context.on_progress(now);
}

void Upload::Impl::end(std::optional<Failure> failure) {
    const Done tell = std::exchange(done, nullptr);
    if (tell) tell(failure, result);
}

Upload::Upload(TransferContext& context, std::filesystem::path path, Done done)
    : impl_(std::make_shared<Impl>(context, std::move(path), std::move(done))) {
    impl_->open();
}

Upload::~Upload() {
    impl_->done = nullptr;
}

}  // namespace kollator::cli
