// The S3 store against a real S3 server: Ceph's RADOS Gateway.

#include "store/s3/s3_store.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "crypto/hash.h"
#include "loop/system_clock.h"
#include "tests/support/child_process.h"
#include "tests/support/rgw.h"

namespace kollator::store {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::RgwServer;

constexpr auto kDeadline = seconds(240);
constexpr std::size_t kChunkBytes = 5 << 20;

SharedBuffer content(std::uint64_t seed, std::size_t size_bytes) {
    SeededRandom random(seed);
    auto buffer = std::make_shared<Buffer>(size_bytes);
    random.fill(buffer->span());
    return buffer;
}

ObjectKey key_of(const SharedBuffer& body) {
    return ObjectKey(ChunkId(crypto::sha256(body->span())));
}

S3Options options_for(const RgwServer& server) {
    S3Options options;
    options.endpoint = server.endpoint();
    options.region = server.region();
    options.bucket = server.bucket();
    options.access_key = server.access_key();
    options.secret_key = server.secret_key();
    options.backoff_base = milliseconds(10);
    options.backoff_cap = milliseconds(200);
    return options;
}

/// A store with its loop, asked one thing at a time.
class Asked {
 public:
    explicit Asked(S3Options options) {
        auto made = make_s3_store(loop_, system_clock(), random_, std::move(options));
        KOLLATOR_CHECK(made.ok());
        store_ = std::move(*made);
    }
    Result<PutOutcome> put(const SharedBuffer& body) {
        return put(key_of(body), body, crypto::sha256(body->span()));
    }
    Result<PutOutcome> put(const ObjectKey& key, const SharedBuffer& body,
                           const crypto::Sha256Digest& hash) {
        return ask<PutOutcome>([&](auto done) { return store_->put(key, body, hash, done); });
    }
    Result<SharedBuffer> get(const ObjectKey& key, const GetOptions& options = {}) {
        return ask<SharedBuffer>(
            [&](auto done) { return store_->get(key, options, nullptr, done); });
    }
    Result<std::uint64_t> stat(const ObjectKey& key) {
        return ask<std::uint64_t>([&](auto done) { return store_->stat(key, done); });
    }
    Result<ListPage> list(ObjectKind kind, const std::array<std::uint8_t, 32>& after,
                          std::size_t limit) {
        return ask<ListPage>([&](auto done) { return store_->list(kind, after, limit, done); });
    }
    Status remove(const ObjectKey& key) {
        return ask<void>([&](auto done) { return store_->remove(key, done); });
    }
    Status probe() {
        return ask<void>([&](auto done) { return store_->probe(done); });
    }
    bool run_until(const std::function<bool()>& done) { return loop_.run_until(done, kDeadline); }
    ObjectStore& store() { return *store_; }

 private:
    template <typename T, typename Ask>
    Result<T> ask(Ask ask) {
        std::optional<Result<T>> answer;
        const auto handle = ask([&](Result<T> result) { answer = std::move(result); });
        EXPECT_TRUE(run_until([&] { return answer.has_value(); }));
        if (!answer) return make_error(ErrorCode::kInternal, "no answer within the test's time");
        return std::move(*answer);
    }

    EventLoop loop_;
    SeededRandom random_{1};
    std::unique_ptr<ObjectStore> store_;
};

class S3StoreOnRgw : public ::testing::Test {
 protected:
    static void SetUpTestSuite() {
        auto started = RgwServer::start();
        ASSERT_TRUE(started.ok()) << started.error().detail;
        server_ = std::make_unique<RgwServer>(std::move(*started));
    }
    static void TearDownTestSuite() { server_.reset(); }
    void SetUp() override { ASSERT_NE(server_, nullptr); }

    static std::unique_ptr<RgwServer> server_;
};
std::unique_ptr<RgwServer> S3StoreOnRgw::server_;

TEST_F(S3StoreOnRgw, PutsGetsStatsAndRemoves) {
    Asked asked(options_for(*server_));
    EXPECT_TRUE(asked.probe().ok());
    const SharedBuffer body = content(1, 1'000'000);
    const ObjectKey key = key_of(body);
    EXPECT_EQ(asked.get(key).error().code, ErrorCode::kNotFound);
    EXPECT_EQ(asked.stat(key).error().code, ErrorCode::kNotFound);
    EXPECT_EQ(asked.put(body).value(), PutOutcome::kStored);
    EXPECT_EQ(asked.put(body).value(), PutOutcome::kAlreadyThere);
    EXPECT_EQ(asked.stat(key).value(), 1'000'000U);
    EXPECT_EQ(key_of(asked.get(key).value()), key);
    const ObjectKey torrent{MetadataId(key.hash)};
    EXPECT_EQ(asked.get(torrent).error().code, ErrorCode::kNotFound);
    EXPECT_EQ(asked.put(torrent, body, key.hash).value(), PutOutcome::kStored);
    EXPECT_TRUE(asked.remove(key).ok());
    EXPECT_TRUE(asked.remove(key).ok());
    EXPECT_EQ(asked.get(key).error().code, ErrorCode::kNotFound);
    EXPECT_EQ(key_of(asked.get(torrent).value()).hash, key.hash);
    EXPECT_EQ(asked.store().stats().errors, 0U);
    EXPECT_EQ(asked.store().stats().retries, 0U);
}

TEST_F(S3StoreOnRgw, ReadsRanges) {
    Asked asked(options_for(*server_));
    const SharedBuffer body = content(2, 10'000);
    ASSERT_TRUE(asked.put(body).ok());
    GetOptions range;
    range.offset = 5000;
    range.length = 1000;
    const auto middle = asked.get(key_of(body), range);
    ASSERT_TRUE(middle.ok()) << middle.error().detail;
    EXPECT_TRUE(std::ranges::equal((*middle)->span(), body->span().subspan(5000, 1000)));
    range.length = 0;
    EXPECT_EQ(asked.get(key_of(body), range).value()->size(), 5000U);
    range.length = 9000;
    EXPECT_EQ(asked.get(key_of(body), range).value()->size(), 5000U);
    range.offset = 10'000;
    EXPECT_EQ(asked.get(key_of(body), range).error().code, ErrorCode::kInvalid);
    range = {};
    range.max_bytes = 9'999;
    EXPECT_EQ(asked.get(key_of(body), range).error().code, ErrorCode::kLimit);
}

TEST_F(S3StoreOnRgw, ListsManyObjectsPageByPage) {
    Asked asked(options_for(*server_));
    constexpr std::size_t kObjects = 1100;
    std::vector<ObjectKey> keys;
    std::vector<TransferHandle> handles;
    std::size_t stored = 0;
    for (std::uint64_t seed = 0; seed < kObjects; ++seed) {
        const SharedBuffer body = content(seed + 1000, 32);
        const auto hash = crypto::sha256(body->span());
        keys.emplace_back(MetadataId(hash));
        handles.push_back(asked.store().put(keys.back(), body, hash, [&](auto result) {
            EXPECT_TRUE(result.ok());
            ++stored;
        }));
    }
    ASSERT_TRUE(asked.run_until([&] { return stored == kObjects; }));
    std::sort(keys.begin(), keys.end());
    std::vector<ObjectKey> listed;
    std::array<std::uint8_t, 32> after{};
    std::vector<std::size_t> sizes;
    for (bool more = true; more;) {
        const auto page = asked.list(ObjectKind::kTorrent, after, 500);
        ASSERT_TRUE(page.ok()) << page.error().detail;
        ASSERT_FALSE(page->entries.empty());
        sizes.push_back(page->entries.size());
        for (const auto& entry : page->entries) listed.emplace_back(MetadataId(entry.hash));
        after = page->entries.back().hash;
        more = page->more;
    }
    EXPECT_EQ(sizes.front(), 500U);
    EXPECT_TRUE(std::ranges::includes(listed, keys));
    EXPECT_TRUE(std::ranges::is_sorted(listed));
    EXPECT_GT(asked.list(ObjectKind::kTorrent, {}, 1000).value().entries.size(), 999U);
}

TEST_F(S3StoreOnRgw, TheServerRefusesBytesThatAreNotTheirName) {
    Asked asked(options_for(*server_));
    const SharedBuffer body = content(3, 100'000);
    const ObjectKey other = key_of(content(4, 10));
    EXPECT_EQ(asked.put(other, body, other.hash).error().code, ErrorCode::kCorrupt);
    EXPECT_EQ(asked.get(other).error().code, ErrorCode::kNotFound);
}

TEST_F(S3StoreOnRgw, SaysWhatIsWrongWithItsSettings) {
    auto options = options_for(*server_);
    options.secret_key = "not-the-secret-at-all";
    {
        Asked asked(options);
        const auto status = asked.probe();
        EXPECT_EQ(status.error().code, ErrorCode::kInvalid);
        EXPECT_NE(status.error().detail.find("S3_SECRET_KEY"), std::string::npos);
        EXPECT_EQ(status.error().detail.find("not-the-secret"), std::string::npos);
        EXPECT_EQ(asked.put(content(5, 10)).error().code, ErrorCode::kInvalid);
    }
    options = options_for(*server_);
    options.access_key = "UNKNOWN";
    EXPECT_NE(Asked(options).probe().error().detail.find("S3_ACCESS_KEY"), std::string::npos);
    options = options_for(*server_);
    options.bucket = "no-such-bucket";
    Asked asked(options);
    EXPECT_EQ(asked.probe().error().code, ErrorCode::kInvalid);
    EXPECT_NE(asked.probe().error().detail.find("S3_BUCKET"), std::string::npos);
    EXPECT_EQ(asked.get(key_of(content(5, 10))).error().code, ErrorCode::kInvalid);
    EXPECT_EQ(asked.put(content(5, 10)).error().code, ErrorCode::kInvalid);
}

TEST_F(S3StoreOnRgw, CarriesSixtyFourChunksAtOnceBothWays) {
    Asked asked(options_for(*server_));
    constexpr std::size_t kChunks = 64;
    std::vector<SharedBuffer> bodies;
    for (std::size_t i = 0; i < kChunks; ++i) bodies.push_back(content(100 + i, kChunkBytes));
    std::vector<TransferHandle> handles;
    std::size_t done = 0;
    for (const auto& body : bodies) {
        handles.push_back(asked.store().put(key_of(body), body, key_of(body).hash, [&](auto put) {
            EXPECT_TRUE(put.ok()) << (put.ok() ? "" : put.error().detail);
            ++done;
        }));
    }
    ASSERT_TRUE(asked.run_until([&] { return done == kChunks; }));
    handles.clear();
    ByteBudget budget(kChunks * kChunkBytes);
    done = 0;
    std::size_t reports = 0;
    GetOptions options;
    options.max_bytes = kChunkBytes;
    options.budget = &budget;
    for (const auto& body : bodies) {
        const ObjectKey key = key_of(body);
        handles.push_back(asked.store().get(
            key, options, [&](const auto&, auto, auto) { ++reports; },
            [&, key](Result<SharedBuffer> got) {
                ++done;
                ASSERT_TRUE(got.ok()) << got.error().detail;
                EXPECT_EQ(key_of(*got), key);
            }));
    }
    ASSERT_TRUE(asked.run_until([&] { return done == kChunks; }));
    handles.clear();
    EXPECT_EQ(budget.used_bytes(), 0U);
    EXPECT_GE(reports, kChunks);
    EXPECT_LE(reports, kChunks * (kChunkBytes / (64 << 10)));  // no report for each 16 KiB
    EXPECT_EQ(asked.store().stats().downloaded_bytes, kChunks * kChunkBytes);
    EXPECT_EQ(asked.store().stats().errors, 0U);
}

TEST_F(S3StoreOnRgw, AKilledGatewayIsUnavailableAndComesBack) {
    auto options = options_for(*server_);
    options.max_attempts = 3;
    Asked asked(options);
    std::vector<SharedBuffer> bodies;
    for (std::size_t i = 0; i < 32; ++i) bodies.push_back(content(200 + i, kChunkBytes));
    for (std::size_t i = 0; i < 8; ++i) ASSERT_TRUE(asked.put(bodies[i]).ok());
    std::size_t acknowledged = 0;
    std::size_t failed = 0;
    bool moving = false;
    std::vector<TransferHandle> handles;
    std::vector<bool> stored(bodies.size());
    for (std::size_t i = 8; i < bodies.size(); ++i) {
        handles.push_back(asked.store().put(
            key_of(bodies[i]), bodies[i], key_of(bodies[i]).hash, [&, i](auto put) {
                stored[i] = put.ok();
                ++(put.ok() ? acknowledged : failed);
                if (!put.ok()) {
                    EXPECT_EQ(put.error().code, ErrorCode::kUnavailable) << put.error().detail;
                }
            }));
    }
    for (std::size_t i = 0; i < 8; ++i) {
        handles.push_back(asked.store().get(
            key_of(bodies[i]), {}, [&](const auto&, auto, auto) { moving = true; },
            [&, i](Result<SharedBuffer> got) {
                ++(got.ok() ? acknowledged : failed);
                if (got.ok()) {
                    EXPECT_EQ(key_of(*got), key_of(bodies[i]));
                }
            }));
    }
    ASSERT_TRUE(asked.run_until([&] { return moving || acknowledged > 0; }));
    ASSERT_TRUE(server_->kill().ok());
    ASSERT_TRUE(asked.run_until([&] { return acknowledged + failed == bodies.size(); }));
    EXPECT_GT(failed, 0U);
    EXPECT_EQ(asked.probe().error().code, ErrorCode::kUnavailable);
    ASSERT_TRUE(server_->restart().ok());
    // The circuit is open: one request after the other finds out whether it may close.
    const auto deadline = std::chrono::steady_clock::now() + seconds(30);
    while (!asked.probe().ok() && std::chrono::steady_clock::now() < deadline) {
    }
    for (std::size_t i = 0; i < bodies.size(); ++i) {
        if (!stored[i] && i >= 8) {
            ASSERT_TRUE(asked.put(bodies[i]).ok());
        }
        EXPECT_EQ(key_of(asked.get(key_of(bodies[i])).value()), key_of(bodies[i]));
    }
    // Three attempts at most for each of the burst; the first eight, the probe, and what came
    // after.
    EXPECT_LE(asked.store().stats().requests, 3 * bodies.size() + 8 + 3 + 2 * bodies.size());
}

TEST_F(S3StoreOnRgw, AHangingGatewayTimesOutAndComesBack) {
    auto options = options_for(*server_);
    options.stall_timeout = seconds(1);
    options.request_timeout = milliseconds(3000);
    options.max_attempts = 2;
    Asked asked(options);
    const SharedBuffer body = content(6, 100'000);
    ASSERT_TRUE(asked.put(body).ok());
    ASSERT_TRUE(server_->pause().ok());
    const auto got = asked.get(key_of(body));
    ASSERT_FALSE(got.ok());
    EXPECT_EQ(got.error().code, ErrorCode::kTimeout) << got.error().detail;
    const auto put = asked.put(content(7, 100'000));
    ASSERT_FALSE(put.ok());
    EXPECT_EQ(put.error().code, ErrorCode::kTimeout) << put.error().detail;
    ASSERT_TRUE(server_->resume().ok());
    // The gateway may first work off what came while it stood still.
    bool back = false;
    for (int i = 0; i < 20 && !back; ++i) back = asked.get(key_of(body)).ok();
    EXPECT_TRUE(back);
}

TEST_F(S3StoreOnRgw, ACancelledTransferEndsAndOthersGoOn) {
    Asked asked(options_for(*server_));
    const SharedBuffer body = content(8, kChunkBytes);
    ASSERT_TRUE(asked.put(body).ok());
    ByteBudget budget(64 * kChunkBytes);
    GetOptions options;
    options.budget = &budget;
    for (int round = 0; round < 20; ++round) {
        bool moving = false;
        bool done = false;
        const auto ended = std::make_shared<bool>(false);
        auto cancelled = asked.store().get(
            key_of(body), options, [&](const auto&, auto, auto) { moving = true; },
            [&](const auto&) { done = true; });
        // It may be over before the other one moves, but is not heard of once it was cancelled.
        auto put = asked.store().put(key_of(body), body, key_of(body).hash,
                                     [ended](const auto&) { EXPECT_FALSE(*ended); });
        ASSERT_TRUE(asked.run_until([&] { return moving || done; }));
        cancelled.reset();
        put.reset();
        *ended = true;
        // The transfers' thread may be about to report progress, and holds the buffer for it.
        ASSERT_TRUE(asked.run_until([&] { return budget.used_bytes() == 0; }));
    }
    EXPECT_EQ(key_of(asked.get(key_of(body)).value()), key_of(body));
}

TEST(S3StoreOnThrottledRgw, SendsLessAtOnceAndGetsThrough) {
    auto server =
        RgwServer::start({.max_concurrent_requests = 2, .tls_certificate = {}, .tls_key = {}});
    ASSERT_TRUE(server.ok()) << server.error().detail;
    auto options = options_for(*server);
    options.max_attempts = 15;
    options.max_transfers = 32;
    options.retry_window = seconds(120);
    options.retry_floor = 1000;  // nearly all of the first burst is refused
    Asked asked(options);
    constexpr std::size_t kChunks = 64;
    std::vector<TransferHandle> handles;
    std::size_t stored = 0;
    std::size_t failed = 0;
    for (std::size_t i = 0; i < kChunks; ++i) {
        const SharedBuffer body = content(300 + i, 500'000);
        handles.push_back(asked.store().put(key_of(body), body, key_of(body).hash,
                                            [&](auto put) { ++(put.ok() ? stored : failed); }));
    }
    ASSERT_TRUE(asked.run_until([&] { return stored + failed == kChunks; }));
    EXPECT_EQ(failed, 0U);
    EXPECT_GT(asked.store().stats().retries, 0U);
}

TEST(S3StoreOverTls, TrustsTheGivenCertificateOnly) {
    std::string pattern = std::filesystem::temp_directory_path() / "kollator-tls-XXXXXX";
    const std::filesystem::path folder = ::mkdtemp(pattern.data());
    const std::string certificate = folder / "cert.pem";
    const std::string key = folder / "key.pem";
    auto made = testing::ChildProcess::start(
        {.command = {"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                     "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
                     key, "-out", certificate},
         .environment = {},
         .merge_stderr = true});  // its dots, which nobody reads
    ASSERT_TRUE(made.ok());
    ASSERT_EQ(made->wait(seconds(60)).value(), 0);
    auto server = RgwServer::start(
        {.max_concurrent_requests = 0, .tls_certificate = certificate, .tls_key = key});
    ASSERT_TRUE(server.ok()) << server.error().detail;
    auto options = options_for(*server);
    ASSERT_EQ(options.endpoint.find("https://"), 0U);
    const auto untrusted = Asked(options).probe();
    EXPECT_EQ(untrusted.error().code, ErrorCode::kInvalid);
    EXPECT_NE(untrusted.error().detail.find("certificate"), std::string::npos);
    options.ca_file = certificate;
    Asked asked(options);
    const SharedBuffer body = content(9, kChunkBytes);
    EXPECT_EQ(asked.put(body).value(), PutOutcome::kStored);
    EXPECT_EQ(key_of(asked.get(key_of(body)).value()), key_of(body));
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace kollator::store
