#include "store/s3/s3_store.h"

#include <fmt/core.h>

#include <algorithm>
#include <optional>

#include "store/s3/client.h"
#include "store/s3/presence_guess.h"
#include "store/s3/responses.h"

namespace kollator::store {
namespace {

using s3::Call;
using s3::Client;
using s3::Method;
using s3::Reply;

/// Pages of foreign names that one list() reads in search of an entry of ours. A bucket with more
/// than so many thousand of them under our prefix is not ours.
constexpr int kMaxListRounds = 50;

Error damaged(const std::string& what) {
    return make_error(ErrorCode::kCorrupt, what);
}

/// An own range is checked, since a server or a cache between that ignores it sends other bytes.
Status check_range(const s3::HttpResponse& response, const ObjectKey& key,
                   const GetOptions& options) {
    const auto& range = response.content_range;
    if (response.status != 206 || !range) {
        return make_error(ErrorCode::kInvalid, "the server does not know ranges");
    }
    const std::uint64_t rest = range->total - range->first;
    const std::uint64_t expected = options.length == 0 ? rest : std::min(options.length, rest);
    if (range->first != options.offset || range->last - range->first + 1 != expected ||
        response.body->size() != expected) {
        return damaged(key.path() + ": the server sent another range than it was asked for");
    }
    return {};
}

class CallHandle final : public Transfer {
 public:
    CallHandle(std::weak_ptr<Client> client, Client::Id id) : client_(std::move(client)), id_(id) {}
    ~CallHandle() override {
        if (const auto client = client_.lock()) client->cancel(id_);
    }

 private:
    const std::weak_ptr<Client> client_;
    const Client::Id id_;
};

/// A list under way: pages are read until one holds an entry of ours.
struct Listing {
    ObjectKind kind;
    std::string after;  ///< a key; the next page begins behind it
    std::size_t limit;
    int rounds = 0;
    ObjectStore::OnList on_done;
};

Call list_call(std::string_view prefix, const std::string& after, std::size_t limit) {
    Call call;
    call.query = {
        {"list-type", "2"}, {"max-keys", std::to_string(limit)}, {"prefix", std::string(prefix)}};
    if (!after.empty()) call.query.emplace_back("start-after", after);
    return call;
}

/// Adds what is ours to the page; the last key seen comes back in `after`.
Result<ListPage> take_page(const s3::ListResponse& list, ObjectKind kind, std::string& after) {
    ListPage page;
    page.more = list.truncated;
    const std::string_view prefix = prefix_of(kind);
    for (const auto& object : list.objects) {
        if (object.key <= after) {
            return make_error(ErrorCode::kInvalid, "the server does not list in order of names");
        }
        after = object.key;
        if (!object.key.starts_with(prefix)) continue;
        const auto id = ChunkId::from_hex(std::string_view(object.key).substr(prefix.size()));
        if (id) page.entries.push_back({id->bytes(), object.size_bytes, object.modified_s});
    }
    return page;
}

void list_next(const std::weak_ptr<Client>& weak, Client::Id id,
               const std::shared_ptr<Listing>& listing) {
    const auto client = weak.lock();
    if (!client) return;
    client->start(
        id, list_call(prefix_of(listing->kind), listing->after, listing->limit), nullptr,
        [weak, id, listing](Result<Reply> reply) {
            if (!reply) return listing->on_done(reply.error());
            const auto list = s3::parse_list(reply->response.text);
            if (!list) return listing->on_done(list.error());
            auto page = take_page(*list, listing->kind, listing->after);
            if (!page || !page->entries.empty() || !page->more) {
                return listing->on_done(std::move(page));
            }
            if (list->objects.empty() || ++listing->rounds == kMaxListRounds) {
                return listing->on_done(make_error(
                    ErrorCode::kInvalid, "the bucket holds too many names that are not ours"));
            }
            list_next(weak, id, listing);
        });
}

/// A PUT under way, and the HEAD that may go before it.
struct Upload {
    ObjectKey key{ChunkId()};
    SharedBuffer body;
    std::string payload_hash;
    bool only_if_absent = false;
    ObjectStore::OnPut on_done;
};

void send(const std::weak_ptr<Client>& weak, Client::Id id, const std::shared_ptr<Upload>& upload,
          const std::shared_ptr<s3::PresenceGuess>& guess) {
    const auto client = weak.lock();
    if (!client) return;
    Call call;
    call.method = Method::kPut;
    call.key = upload->key.path();
    call.payload_hash = upload->payload_hash;
    call.only_if_absent = upload->only_if_absent;
    call.body = upload->body;
    client->start(id, std::move(call), nullptr, [weak, upload, guess](const Result<Reply>& reply) {
        if (!reply) return upload->on_done(reply.error());
        if (upload->only_if_absent) guess->note(reply->already_there);
        if (reply->already_there) return upload->on_done(PutOutcome::kAlreadyThere);
        if (const auto locked = weak.lock()) {
            locked->count_upload(upload->key.kind, upload->body->size());
        }
        upload->on_done(PutOutcome::kStored);
    });
}

/// One that is there with another size is damaged: it is written over.
void ask_then_send(const std::weak_ptr<Client>& weak, Client::Id id,
                   const std::shared_ptr<Upload>& upload,
                   const std::shared_ptr<s3::PresenceGuess>& guess) {
    const auto client = weak.lock();
    if (!client) return;
    Call call;
    call.method = Method::kHead;
    call.key = upload->key.path();
    client->start(id, std::move(call), nullptr,
                  [weak, id, upload, guess](const Result<Reply>& reply) {
                      guess->note(reply.ok());
                      if (reply && reply->response.content_length == upload->body->size()) {
                          return upload->on_done(PutOutcome::kAlreadyThere);
                      }
                      if (reply) upload->only_if_absent = false;
                      send(weak, id, upload, guess);
                  });
}

class S3Store final : public ObjectStore {
 public:
    S3Store(std::shared_ptr<Client> client, std::string description)
        : client_(std::move(client)), description_(std::move(description)) {}

    TransferHandle get(const ObjectKey& key, const GetOptions& options, OnProgress on_progress,
                       OnGet on_done) override {
        Call call;
        call.key = key.path();
        call.keep_body = true;
        call.max_body_bytes =
            options.max_bytes == 0 ? kMaxObjectBytes : std::min(options.max_bytes, kMaxObjectBytes);
        call.budget = options.budget;
        call.again = options.again;
        const bool ranged = options.offset > 0 || options.length > 0;
        if (ranged) {
            call.range = fmt::format("bytes={}-", options.offset);
            if (options.length > 0 && options.length <= kMaxObjectBytes) {
                call.range += std::to_string(options.offset + options.length - 1);
            }
        }
        return start(std::move(call), std::move(on_progress),
                     [key, options, ranged, on_done = std::move(on_done)](Result<Reply> reply) {
                         if (!reply) return on_done(reply.error());
                         if (ranged) {
                             const auto status = check_range(reply->response, key, options);
                             if (!status) return on_done(status.error());
                         }
                         on_done(std::move(reply->response.body));
                     });
    }

    TransferHandle put(const ObjectKey& key, SharedBuffer body,
                       const std::array<std::uint8_t, 32>& payload_sha256, OnPut on_done) override {
        auto upload = std::make_shared<Upload>();
        upload->key = key;
        upload->body = std::move(body);
        upload->payload_hash = to_hex(payload_sha256);
        upload->on_done = std::move(on_done);
        // Two torrents may share their name and differ outside of what it covers: the last stands.
        upload->only_if_absent = key.kind == ObjectKind::kChunk;
        const Client::Id id = client_->next_id();
        if (upload->only_if_absent &&
            guess_->should_ask(upload->body->size(), client_->keeps_conditions())) {
            ask_then_send(client_, id, upload, guess_);
        } else {
            send(client_, id, upload, guess_);
        }
        return std::make_unique<CallHandle>(client_, id);
    }

    TransferHandle stat(const ObjectKey& key, OnStat on_done) override {
        Call call;
        call.method = Method::kHead;
        call.key = key.path();
        return start(std::move(call), nullptr,
                     [key, on_done = std::move(on_done)](Result<Reply> reply) {
                         if (!reply) return on_done(reply.error());
                         if (!reply->response.content_length) {
                             return on_done(damaged(key.path() + ": an answer without a length"));
                         }
                         on_done(*reply->response.content_length);
                     });
    }

    TransferHandle list(ObjectKind kind, const std::array<std::uint8_t, 32>& after,
                        std::size_t limit, OnList on_done) override {
        auto listing = std::make_shared<Listing>();
        listing->kind = kind;
        listing->after = std::string(prefix_of(kind)) + to_hex(after);
        listing->limit = std::clamp<std::size_t>(limit, 1, kMaxListEntries);
        listing->on_done = std::move(on_done);
        const Client::Id id = client_->next_id();
        list_next(client_, id, listing);
        return std::make_unique<CallHandle>(client_, id);
    }

    TransferHandle remove(const ObjectKey& key, OnDone on_done) override {
        Call call;
        call.method = Method::kDelete;
        call.key = key.path();
        return start(std::move(call), nullptr, [on_done = std::move(on_done)](Result<Reply> reply) {
            on_done(reply ? Status() : Status(reply.error()));
        });
    }

    /// A list of one entry: unlike a HEAD of the bucket it explains itself when it fails.
    TransferHandle probe(OnDone on_done) override {
        return start(list_call(prefix_of(ObjectKind::kChunk), "", 1), nullptr,
                     [on_done = std::move(on_done)](Result<Reply> reply) {
                         if (!reply) return on_done(reply.error());
                         const auto list = s3::parse_list(reply->response.text);
                         on_done(list ? Status() : Status(list.error()));
                     });
    }

    StoreStats stats() const override { return client_->stats(); }
    std::vector<StoreCheck> checks() const override { return client_->checks(); }
    std::string describe() const override { return description_; }

 private:
    TransferHandle start(Call call, OnProgress on_progress, Client::OnReply on_reply) {
        const Client::Id id = client_->next_id();
        client_->start(id, std::move(call), std::move(on_progress), std::move(on_reply));
        return std::make_unique<CallHandle>(client_, id);
    }

    const std::shared_ptr<Client> client_;
    const std::shared_ptr<s3::PresenceGuess> guess_ = std::make_shared<s3::PresenceGuess>();
    const std::string description_;
};

}  // namespace

Result<std::unique_ptr<ObjectStore>> make_s3_store(EventLoop& loop, const Clock& clock,
                                                   Random& random, S3Options options) {
    auto endpoint = s3::resolve(options);
    if (!endpoint) return endpoint.error();
    auto credentials = s3::CredentialsSource::open(loop, options);
    if (!credentials) return credentials.error();
    std::string description = "s3 " + endpoint->origin + endpoint->prefix;
    auto client = std::make_shared<Client>(loop, clock, random, std::move(options),
                                           std::move(*endpoint), std::move(*credentials));
    return std::unique_ptr<ObjectStore>(
        std::make_unique<S3Store>(std::move(client), std::move(description)));
}

}  // namespace kollator::store
