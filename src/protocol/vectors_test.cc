// The golden vectors of tests/vectors, which the TypeScript codec is tested by as well.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "protocol/any_body.h"

namespace kollator::protocol {
namespace {

using nlohmann::json;

json load_vectors(const std::string& name) {
    std::ifstream file(std::string(KOLLATOR_SOURCE_DIR) + "/tests/vectors/" + name);
    std::ostringstream text;
    text << file.rdbuf();
    return json::parse(text.str());
}

// What a decoded body says, in the vectors' words.
template <typename Id>
json request_fields(const char* name, const BlobRequest<Id>& body) {
    return {{name, body.id.hex()}, {"offset", body.offset}, {"length", body.length}};
}
template <typename Id>
json store_fields(const char* name, const StoreFragment<Id>& body) {
    return {{name, body.id.hex()},
            {"total", body.total},
            {"offset", body.offset},
            {"data", to_hex(body.data)}};
}
json hashes(const std::vector<ChunkId>& ids) {
    json list = json::array();
    for (const ChunkId& id : ids) list.push_back(id.hex());
    return list;
}

struct FieldsOf {
    json operator()(const EmptyBody&) const { return json::object(); }
    json operator()(const ErrorBody& body) const {
        return {{"code", static_cast<unsigned>(body.code)},
                {"retryAfterMs", body.retry_after_ms},
                {"message", body.message}};
    }
    json operator()(const ChunkRequest& body) const { return request_fields("hash", body); }
    json operator()(const MetadataRequest& body) const { return request_fields("infohash", body); }
    json operator()(const ResponseFragment& body) const {
        return {{"total", body.total}, {"offset", body.offset}, {"data", to_hex(body.data)}};
    }
    json operator()(const ChunkStore& body) const { return store_fields("hash", body); }
    json operator()(const MetadataStore& body) const { return store_fields("infohash", body); }
    json operator()(const StoreAnswer& body) const {
        return {{"status", static_cast<unsigned>(body.status)},
                {"durability", static_cast<unsigned>(body.durability)}};
    }
    json operator()(const ListRequest& body) const {
        return {{"after", body.after.hex()},
                {"limit", body.limit},
                {"scope", static_cast<unsigned>(body.scope)}};
    }
    json operator()(const ListAnswer& body) const {
        json entries = json::array();
        for (const ListEntry& entry : body.entries) {
            entries.push_back({{"hash", entry.id.hex()}, {"size", entry.size_bytes}});
        }
        return {{"more", body.more ? 1 : 0}, {"entries", entries}};
    }
    json operator()(const AnnounceRequest& body) const { return {{"hashes", hashes(body.ids)}}; }
    json operator()(const AnnounceAnswer& body) const { return {{"accepted", body.accepted}}; }
    json operator()(const LookupRequest& body) const { return {{"hash", body.id.hex()}}; }
    json operator()(const LookupAnswer& body) const {
        json peers = json::array();
        for (const PeerAddress& peer : body.peers) {
            peers.push_back({{"family", static_cast<unsigned>(peer.family)},
                             {"address", peer.address_text()},
                             {"port", peer.port}});
        }
        return {{"peers", peers}};
    }
    json operator()(const StatRequest& body) const {
        json fields = {{"hashes", hashes(body.ids)}};
        if (body.known_only) fields["scope"] = 1;
        return fields;
    }
    json operator()(const StatAnswer& body) const {
        json entries = json::array();
        for (const StatEntry& entry : body.entries) {
            entries.push_back({{"size", entry.size_bytes},
                               {"residency", static_cast<unsigned>(entry.residency)}});
        }
        return {{"entries", entries}};
    }
    json operator()(const HealthAnswer& body) const { return {{"json", body.json}}; }
    // HELLO and AUTH are compared as documents: the order of members is free.
    json operator()(const Hello&) const { return nullptr; }
    json operator()(const Auth&) const { return nullptr; }
};

bool is_json_document(const AnyBody& body) {
    return std::holds_alternative<Hello>(body) || std::holds_alternative<Auth>(body);
}

TEST(Vectors, EveryValidMessageIsReadAsItIsMeant) {
    const json vectors = load_vectors("messages.json");
    ASSERT_GT(vectors.size(), 40U);
    for (const json& vector : vectors) {
        SCOPED_TRACE(vector.at("name"));
        const auto bytes = from_hex(vector.at("hex").get<std::string>());
        ASSERT_TRUE(bytes.has_value());
        const auto message = decode_message(*bytes);
        ASSERT_TRUE(message.ok()) << message.error().detail;
        EXPECT_EQ(static_cast<unsigned>(message->header.type), vector.at("type"));
        EXPECT_EQ(message->header.flags.bits(), vector.at("flags"));
        EXPECT_EQ(to_number(message->header.request_id), vector.at("requestId"));
        const auto body = decode_body(*message);
        ASSERT_TRUE(body.ok()) << body.error().detail;
        if (is_json_document(*body)) continue;
        EXPECT_EQ(std::visit(FieldsOf{}, *body), vector.at("fields"));
    }
}

TEST(Vectors, EveryValidMessageIsWrittenAsItWasRead) {
    for (const json& vector : load_vectors("messages.json")) {
        SCOPED_TRACE(vector.at("name"));
        const auto bytes = *from_hex(vector.at("hex").get<std::string>());
        const auto message = decode_message(bytes);
        ASSERT_TRUE(message.ok());
        const auto body = decode_body(*message);
        ASSERT_TRUE(body.ok());
        const Bytes written = encode_message(message->header, *body);
        if (!is_json_document(*body)) {
            EXPECT_EQ(to_hex(written), vector.at("hex"));
            continue;
        }
        const auto expected = json::parse(vector.at("fields").at("json").get<std::string>());
        const json document = json::parse(as_text(written).substr(kHeaderBytes));
        for (const auto& [name, value] : expected.items()) EXPECT_EQ(document.at(name), value);
    }
}

TEST(Vectors, EveryMalformedMessageIsRefused) {
    const json vectors = load_vectors("malformed.json");
    ASSERT_GT(vectors.size(), 70U);
    for (const json& vector : vectors) {
        SCOPED_TRACE(vector.at("name"));
        // What only a receiver knows: its size limit, the fragmented types, its version. The
        // session is tested by these.
        const std::string name = vector.at("name");
        if (vector.at("code") == 3 || name.starts_with("MORE where") ||
            name.starts_with("hello of another")) {
            continue;
        }
        const auto bytes = from_hex(vector.at("hex").get<std::string>());
        ASSERT_TRUE(bytes.has_value());
        const auto message = decode_message(*bytes);
        if (!message.ok()) {
            EXPECT_EQ(vector.at("code"), 1);
            continue;
        }
        const auto body = decode_body(*message);
        ASSERT_FALSE(body.ok());
        EXPECT_FALSE(body.error().detail.empty());
        EXPECT_EQ(body.error().code == ErrorCode::kNotFound, vector.at("code") == 8);
    }
}

// A shorter body may be a valid one where its end is free: data, an error's words, an empty list,
// names without a scope.
bool end_is_free(const AnyBody& body) {
    return std::holds_alternative<ErrorBody>(body) || std::holds_alternative<ChunkStore>(body) ||
           std::holds_alternative<MetadataStore>(body) ||
           std::holds_alternative<ResponseFragment>(body) ||
           std::holds_alternative<StatAnswer>(body) || std::holds_alternative<StatRequest>(body);
}

TEST(Vectors, EveryMessageCutShortAnywhereIsRefusedOrWhole) {
    for (const json& vector : load_vectors("messages.json")) {
        SCOPED_TRACE(vector.at("name"));
        const auto bytes = *from_hex(vector.at("hex").get<std::string>());
        for (std::size_t size = 0; size < bytes.size(); ++size) {
            // A copy of its own, so that a sanitizer sees a read past the cut.
            const Bytes cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
            const auto message = decode_message(cut);
            ASSERT_EQ(message.ok(), size >= kHeaderBytes) << size;
            if (!message.ok()) continue;
            const auto body = decode_body(*message);
            if (body.ok()) {
                EXPECT_TRUE(end_is_free(*body)) << size;
                EXPECT_EQ(to_hex(encode_message(message->header, *body)), to_hex(cut));
            }
        }
    }
}

}  // namespace
}  // namespace kollator::protocol
