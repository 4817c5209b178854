#include "protocol/hello.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/worker_id.h"
#include "protocol/json.h"
#include "protocol/message.h"

namespace kollator::protocol {
namespace {

using nlohmann::json;

Error wrong_member(const char* what, const char* name, const char* wanted) {
    return make_error(ErrorCode::kInvalid, fmt::format("{}: \"{}\" is not {}", what, name, wanted));
}

/// An optional text of HELLO; stays empty where it is missing.
Status read_text(const json& document, const char* name, std::size_t max_bytes, std::string& to) {
    const json* member = find_member(document, name);
    if (member == nullptr || member->is_null()) return {};
    const auto* text = member->get_ptr<const std::string*>();
    if (text == nullptr) return wrong_member("HELLO", name, "a string");
    if (text->size() > max_bytes) return wrong_member("HELLO", name, "short enough");
    to = *text;
    return {};
}

/// An optional list of words of HELLO; stays empty where it is missing.
Status read_words(const json& document, const char* name, std::vector<std::string>& to) {
    const json* member = find_member(document, name);
    if (member == nullptr || member->is_null()) return {};
    if (!member->is_array()) return wrong_member("HELLO", name, "a list");
    if (member->size() > kMaxWords) return wrong_member("HELLO", name, "short enough");
    for (const json& entry : *member) {
        const auto* word = entry.get_ptr<const std::string*>();
        if (word == nullptr || word->size() > kMaxWordBytes) {
            return wrong_member("HELLO", name, "a list of short strings");
        }
        to.push_back(*word);
    }
    return {};
}

template <std::size_t kBytes>
bool read_hex(const json& document, const char* name, std::array<std::uint8_t, kBytes>& to) {
    const std::string* text = find_string(document, name);
    if (text == nullptr || text->size() != 2 * kBytes) return false;
    const auto bytes = from_hex(*text);
    if (!bytes) return false;
    std::copy(bytes->begin(), bytes->end(), to.begin());
    return true;
}

void append(const json& document, Bytes& out) {
    const std::string text = to_json_text(document);
    out.insert(out.end(), text.begin(), text.end());
}

}  // namespace

Result<Hello> decode_hello(ByteSpan body) {
    const Result<json> document = parse_json_object(as_text(body));
    if (!document.ok()) {
        return make_error(document.error().code, "HELLO: " + document.error().detail);
    }
    const auto version = find_unsigned(*document, "version");
    if (!version) return wrong_member("HELLO", "version", "a number");
    Hello hello;
    hello.version = *version;
    if (hello.version != kVersion) return hello;

    const std::string* role = find_string(*document, "role");
    if (role == nullptr || (*role != "client" && *role != "worker")) {
        return wrong_member("HELLO", "role", "\"client\" or \"worker\"");
    }
    hello.role = *role == "worker" ? Role::kWorker : Role::kClient;
    if (Status read = read_text(*document, "id", kMaxIdBytes, hello.id); !read) return read.error();
    if (Status read = read_text(*document, "agent", kMaxAgentBytes, hello.agent); !read) {
        return read.error();
    }
    if (Status read = read_words(*document, "accept", hello.accept); !read) return read.error();
    if (Status read = read_words(*document, "features", hello.features); !read) return read.error();
    hello.max_chunk_bytes = find_unsigned(*document, "maxChunkBytes");
    return hello;
}

void encode(const Hello& hello, Bytes& out) {
    json document = {{"version", hello.version},
                     {"role", hello.role == Role::kWorker ? "worker" : "client"},
                     {"accept", hello.accept}};
    if (!hello.id.empty()) document["id"] = hello.id;
    if (!hello.agent.empty()) document["agent"] = hello.agent;
    if (hello.max_chunk_bytes) document["maxChunkBytes"] = *hello.max_chunk_bytes;
    if (hello.role == Role::kWorker) document["features"] = hello.features;
    append(document, out);
}

Result<Auth> decode_auth(ByteSpan body) {
    const Result<json> document =
        parse_json_object(as_text(body), {.max_bytes = kMaxAuthBytes, .max_depth = 4});
    if (!document.ok()) {
        return make_error(document.error().code, "AUTH: " + document.error().detail);
    }
    Auth auth;
    const std::string* worker_id = find_string(*document, "workerId");
    if (worker_id == nullptr || !is_worker_id(*worker_id)) {
        return wrong_member("AUTH", "workerId", "1 to 64 of A-Z a-z 0-9 . _ -");
    }
    auth.worker_id = *worker_id;
    const auto timestamp = find_unsigned(*document, "timestamp");
    if (!timestamp) return wrong_member("AUTH", "timestamp", "a number");
    auth.timestamp_s = *timestamp;
    if (!read_hex(*document, "token", auth.token)) {
        return wrong_member("AUTH", "token", "64 hex digits");
    }
    if (!read_hex(*document, "nonce", auth.nonce)) {
        return wrong_member("AUTH", "nonce", "32 hex digits");
    }
    if (!read_hex(*document, "proof", auth.proof)) {
        return wrong_member("AUTH", "proof", "64 hex digits");
    }
    return auth;
}

void encode(const Auth& auth, Bytes& out) {
    append({{"workerId", auth.worker_id},
            {"timestamp", auth.timestamp_s},
            {"token", to_hex(auth.token)},
            {"nonce", to_hex(auth.nonce)},
            {"proof", to_hex(auth.proof)}},
           out);
}

}  // namespace kollator::protocol
