#include "http/object_endpoints.h"

#include <gtest/gtest.h>

#include "tests/support/loop_thread.h"
#include "tests/support/raw_http_client.h"

namespace kollator::http {
namespace {

using testing::LoopThread;
using testing::RawHttpClient;
using testing::RawResponse;

const std::string kName(64, 'a');
const std::string kGood = "Authorization: Bearer hunter22hunter22\r\n";

class ObjectEndpointsTest : public ::testing::Test {
 protected:
    void TearDown() override {
        thread_.run([&] { server_.reset(); });
    }

    void start(const std::string& token = "") {
        thread_.run([&] {
            server_ = *HttpServer::listen(thread_.loop(), {.bind_address = "127.0.0.1"});
            add_object_endpoints(*server_, hooks(), token);
        });
        client_ = std::make_unique<RawHttpClient>(server_->port());
    }

    ObjectHooks hooks() {
        ObjectHooks hooks;
        hooks.chunks = [this](const ListQuery& query, const auto& done) {
            query_ = query;
            answer<ChunkListing>(done, {{{*ChunkId::from_hex(kName), 5}}, true});
        };
        hooks.torrents = [this](const ListQuery& query, const auto& done) {
            query_ = query;
            const MetadataId id(ChunkId::from_hex(kName)->bytes());
            answer<TorrentListing>(done,
                                   {{{id, 300, "a \xFF", 7}, {id, 10, std::nullopt, 0}}, false});
        };
        hooks.remove_chunk = [this](const ChunkId& id, const auto& done) {
            removed_.push_back("chunk " + id.hex());
            answer<Removal>(done, {due_s_});
        };
        hooks.remove_torrent = [this](const MetadataId& id, const auto& done) {
            removed_.push_back("torrent " + id.hex());
            answer<Removal>(done, {due_s_});
        };
        return hooks;
    }

    template <typename T>
    void answer(const std::function<void(Result<T>)>& done, T value) {
        const Result<T> outcome = failure_ ? Result<T>(*failure_) : Result<T>(std::move(value));
        thread_.loop().post([done, outcome] { done(outcome); });
    }

    int status(const std::string& method, const std::string& path,
               const std::string& headers = "") {
        return client_->exchange(method, path, "", headers).status;
    }

    LoopThread thread_;
    std::unique_ptr<HttpServer> server_;
    std::unique_ptr<RawHttpClient> client_;
    ListQuery query_;
    std::vector<std::string> removed_;
    std::int64_t due_s_ = 0;
    std::optional<Error> failure_;
};

TEST_F(ObjectEndpointsTest, PagesThroughTheChunks) {
    start("hunter22hunter22");
    const RawResponse page = client_->exchange("GET", "/chunks");
    EXPECT_EQ(page.status, 200);
    EXPECT_EQ(page.body, R"({"chunks":[{"hash":")" + kName +
                             R"(","size":5}],"more":true,"next":")" + kName + "\"}");
    EXPECT_EQ(page.header("cache-control"), "no-store");
    EXPECT_EQ(query_.limit, 1000U);
    EXPECT_EQ(query_.after, ListQuery{}.after);
    EXPECT_EQ(query_.scope, ListScope::kCachedHere);
    EXPECT_EQ(status("GET", "/chunks?after=" + kName + "&limit=10000"), 200);
    EXPECT_EQ(to_hex(query_.after), kName);
    EXPECT_EQ(query_.limit, 10'000U);
    for (const char* query : {"after=x", "limit=0", "limit=10001", "limit=5x", "limit=-1",
                              "limit=", "store=2", "store="}) {
        EXPECT_EQ(status("GET", std::string("/chunks?") + query), 400) << query;
    }
}

TEST_F(ObjectEndpointsTest, ListsTheObjectStoreForAdminsOnly) {
    start("hunter22hunter22");
    EXPECT_EQ(status("GET", "/chunks?store=1"), 401);
    EXPECT_EQ(status("GET", "/chunks?store=1", kGood), 200);
    EXPECT_EQ(query_.scope, ListScope::kObjectStore);
    EXPECT_EQ(status("GET", "/chunks?store=1&limit=1001", kGood), 400);
    EXPECT_EQ(status("GET", "/chunks?store=0"), 200);
}

TEST_F(ObjectEndpointsTest, ListsTorrentsForAdminsOnly) {
    start("hunter22hunter22");
    EXPECT_EQ(status("GET", "/torrents"), 401);
    const RawResponse page = client_->exchange("GET", "/torrents", "", kGood);
    EXPECT_EQ(page.body, R"({"more":false,"next":null,"torrents":[{"hash":")" + kName +
                             R"(","metadataSize":300,"name":"a )" + "\xEF\xBF\xBD" +
                             R"(","size":7},{"hash":")" + kName +
                             R"(","metadataSize":10,"name":null,"size":null}]})");
    EXPECT_EQ(status("GET", "/torrents?store=1&limit=1000", kGood), 200);
    EXPECT_EQ(query_.scope, ListScope::kObjectStore);
    EXPECT_EQ(status("GET", "/torrents?limit=1001", kGood), 400);
}

TEST_F(ObjectEndpointsTest, DeletesForAdminsOnly) {
    start("hunter22hunter22");
    EXPECT_EQ(status("DELETE", "/chunks/" + kName), 401);
    EXPECT_EQ(status("DELETE", "/torrents/" + kName, "Authorization: Bearer wrong\r\n"), 401);
    EXPECT_TRUE(removed_.empty());
    const RawResponse gone = client_->exchange("DELETE", "/chunks/" + kName, "", kGood);
    EXPECT_EQ(gone.status, 200);
    EXPECT_EQ(gone.body, R"({"due":null,"hash":")" + kName + R"(","removed":true})");
    thread_.run([&] { due_s_ = 1'802'908'800; });
    EXPECT_EQ(client_->exchange("DELETE", "/torrents/" + kName, "", kGood).body,
              R"({"due":1802908800,"hash":")" + kName + R"(","removed":false})");
    EXPECT_EQ(removed_, (std::vector<std::string>{"chunk " + kName, "torrent " + kName}));
    EXPECT_EQ(status("DELETE", "/chunks/" + kName + "0", kGood), 400);
    EXPECT_EQ(status("DELETE", "/chunks/" + std::string(64, 'A'), kGood), 400);
    EXPECT_EQ(status("DELETE", "/chunks", kGood), 405);
}

TEST_F(ObjectEndpointsTest, WithoutATokenOnlyThisMachineMay) {
    start();
    EXPECT_EQ(status("DELETE", "/chunks/" + kName), 200);
    EXPECT_EQ(status("DELETE", "/chunks/" + kName, "Origin: http://evil\r\n"), 403);
    EXPECT_EQ(status("GET", "/torrents", "X-Forwarded-For: 192.0.2.1\r\n"), 403);
    EXPECT_EQ(status("GET", "/chunks", "Origin: http://evil\r\n"), 200);
}

TEST_F(ObjectEndpointsTest, TellsWhatFailed) {
    start();
    for (const auto& [code, expected] :
         {std::pair(ErrorCode::kUnavailable, 503), std::pair(ErrorCode::kLimit, 503),
          std::pair(ErrorCode::kTimeout, 503), std::pair(ErrorCode::kInternal, 500)}) {
        thread_.run([&, code = code] { failure_ = make_error(code, "because"); });
        for (const char* path : {"/chunks?store=1", "/torrents"}) {
            const RawResponse response = client_->exchange("GET", path);
            EXPECT_EQ(response.status, expected);
            EXPECT_NE(response.body.find("because"), std::string::npos);
        }
        EXPECT_EQ(status("DELETE", "/chunks/" + kName), expected);
    }
}

}  // namespace
}  // namespace kollator::http
