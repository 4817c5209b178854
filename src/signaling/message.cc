#include "signaling/message.h"

#include <algorithm>

#include "base/worker_id.h"
#include "protocol/json.h"

namespace kollator::signaling {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMaxCapacity = 1'000'000'000;
constexpr std::uint64_t kMaxTimestampSeconds = 1ULL << 40;  // far beyond any calendar, below 2^53
/// Room for a token in hex and some more: the verifier decides about the length.
constexpr std::size_t kMaxTokenBytes = 256;
constexpr std::size_t kMaxCodeBytes = 64;

Error invalid(std::string detail) {
    return make_error(ErrorCode::kInvalid, std::move(detail));
}

bool is_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

Result<std::string> take_id(const json& object, const char* name) {
    const std::string* id = protocol::find_string(object, name);
    if (id == nullptr || !is_valid_id(*id)) {
        return invalid(std::string("'") + name + "' must be 1 to 64 of [A-Za-z0-9._-]");
    }
    return *id;
}

Result<Message> decode_register_worker(const json& object) {
    RegisterWorker worker;
    auto id = take_id(object, "id");
    if (!id) return id.error();
    worker.id = *std::move(id);
    const auto timestamp = protocol::find_unsigned(object, "timestamp");
    if (!timestamp || *timestamp > kMaxTimestampSeconds) {
        return invalid("'timestamp' must be seconds since 1970");
    }
    worker.timestamp_s = *timestamp;
    const std::string* token = protocol::find_string(object, "token");
    if (token == nullptr || token->size() > kMaxTokenBytes) {
        return invalid("'token' must be a hex string");
    }
    worker.token = *token;
    const std::string* url = protocol::find_string(object, "url");
    if (url == nullptr || !is_valid_worker_url(*url)) {
        return invalid("'url' must be an http or https URL");
    }
    worker.url = *url;
    const auto capacity = protocol::find_unsigned(object, "capacity");
    if (!capacity || *capacity > kMaxCapacity) return invalid("'capacity' must be a number");
    worker.capacity = *capacity;
    return Message(std::move(worker));
}

Result<Message> decode_register(const json& object) {
    const std::string* role = protocol::find_string(object, "role");
    if (role != nullptr && *role == "worker") return decode_register_worker(object);
    if (role == nullptr || *role != "client") return invalid("'role' must be worker or client");
    RegisterClient client;
    if (protocol::find_member(object, "id") != nullptr) {
        const std::string* id = protocol::find_string(object, "id");
        if (id == nullptr || !is_uuid(*id)) return invalid("a client's 'id' must be a UUID");
        client.id = *id;
    }
    return Message(std::move(client));
}

Status decode_candidate(const json& data, SignalData& signal) {
    const json* candidate = protocol::find_member(data, "candidate");
    if (candidate == nullptr) return invalid("a candidate without 'candidate'");
    // What RTCPeerConnection gives for the end of candidates, put into the message as it is.
    if (candidate->is_null()) return {};
    const std::string* text = protocol::find_string(*candidate, "candidate");
    if (text == nullptr) return invalid("'candidate.candidate' must be a string");
    signal.candidate = *text;
    if (const std::string* mid = protocol::find_string(*candidate, "sdpMid")) signal.sdp_mid = *mid;
    signal.sdp_mline_index = protocol::find_unsigned(*candidate, "sdpMLineIndex").value_or(0);
    return {};
}

Result<SignalData> decode_data(const json& object) {
    const json* data = protocol::find_member(object, "data");
    if (data == nullptr || !data->is_object()) return invalid("'data' must be an object");
    const std::string* type = protocol::find_string(*data, "type");
    if (type == nullptr) return invalid("'data.type' must be a string");
    SignalData signal;
    signal.raw_json = protocol::to_json_text(*data);
    if (*type == "candidate") {
        signal.kind = SignalData::Kind::kCandidate;
        if (const Status taken = decode_candidate(*data, signal); !taken) return taken.error();
        return signal;
    }
    if (*type != "offer" && *type != "answer") {
        return invalid("'data.type' must be offer, answer or candidate");
    }
    signal.kind = *type == "offer" ? SignalData::Kind::kOffer : SignalData::Kind::kAnswer;
    const std::string* sdp = protocol::find_string(*data, "sdp");
    if (sdp == nullptr) return invalid("'data.sdp' must be a string");
    signal.sdp = *sdp;
    return signal;
}

Result<Message> decode_signal(const json& object) {
    auto to = take_id(object, "to");
    if (!to) return to.error();
    Signal signal;
    signal.to = *std::move(to);
    // On the way to the front it means nothing; from the front it is always there.
    if (const std::string* from = protocol::find_string(object, "from")) {
        if (!is_valid_id(*from)) return invalid("'from' must be an id");
        signal.from = *from;
    }
    auto data = decode_data(object);
    if (!data) return data.error();
    signal.data = *std::move(data);
    return Message(std::move(signal));
}

Result<Message> decode_status(const json& object) {
    const auto connections = protocol::find_unsigned(object, "connections");
    const auto cache_bytes = protocol::find_unsigned(object, "cacheBytes");
    if (!connections || !cache_bytes) {
        return invalid("'connections' and 'cacheBytes' must be numbers");
    }
    return Message(WorkerStatus{*connections, *cache_bytes,
                                protocol::find_bool(object, "draining").value_or(false)});
}

Result<Message> decode_error(const json& object) {
    const std::string* code = protocol::find_string(object, "code");
    if (code == nullptr || code->size() > kMaxCodeBytes) return invalid("'code' must be a string");
    ErrorMessage error{*code, "", ""};
    if (const auto* message = protocol::find_string(object, "message")) error.message = *message;
    const std::string* to = protocol::find_string(object, "to");
    if (to != nullptr && is_valid_id(*to)) error.to = *to;
    return Message(std::move(error));
}

json to_json(const RegisterWorker& worker) {
    return {{"type", "register"},
            {"role", "worker"},
            {"id", worker.id},
            {"timestamp", worker.timestamp_s},
            {"token", worker.token},
            {"url", worker.url},
            {"capacity", worker.capacity}};
}

json to_json(const RegisterClient& client) {
    json object = {{"type", "register"}, {"role", "client"}};
    if (!client.id.empty()) object["id"] = client.id;
    return object;
}

json to_json(const Registered& registered) {
    return {{"type", "registered"}, {"id", registered.id}};
}

json to_json(const ErrorMessage& error) {
    json object = {{"type", "error"}, {"code", error.code}, {"message", error.message}};
    if (!error.to.empty()) object["to"] = error.to;
    return object;
}

json to_json(const SignalData& data) {
    if (!data.raw_json.empty()) {
        auto raw = protocol::parse_json_object(data.raw_json);
        if (raw) return *std::move(raw);
    }
    switch (data.kind) {
        case SignalData::Kind::kOffer:
            return {{"type", "offer"}, {"sdp", data.sdp}};
        case SignalData::Kind::kAnswer:
            return {{"type", "answer"}, {"sdp", data.sdp}};
        case SignalData::Kind::kCandidate:
            break;
    }
    return {{"type", "candidate"},
            {"candidate",
             {{"candidate", data.candidate},
              {"sdpMid", data.sdp_mid},
              {"sdpMLineIndex", data.sdp_mline_index}}}};
}

json to_json(const Signal& signal) {
    json object = {{"type", "signal"}, {"to", signal.to}, {"data", to_json(signal.data)}};
    if (!signal.from.empty()) object["from"] = signal.from;
    return object;
}

json to_json(const WorkerStatus& status) {
    return {{"type", "status"},
            {"connections", status.connections},
            {"cacheBytes", status.cache_bytes},
            {"draining", status.draining}};
}

}  // namespace

SignalData make_offer(std::string sdp) {
    SignalData data;
    data.kind = SignalData::Kind::kOffer;
    data.sdp = std::move(sdp);
    return data;
}

SignalData make_answer(std::string sdp) {
    SignalData data;
    data.kind = SignalData::Kind::kAnswer;
    data.sdp = std::move(sdp);
    return data;
}

SignalData make_candidate(std::string candidate, std::string sdp_mid,
                          std::uint64_t sdp_mline_index) {
    SignalData data;
    data.kind = SignalData::Kind::kCandidate;
    data.candidate = std::move(candidate);
    data.sdp_mid = std::move(sdp_mid);
    data.sdp_mline_index = sdp_mline_index;
    return data;
}

Result<Message> decode_message(std::string_view text) {
    static_assert(protocol::JsonLimits{}.max_bytes == kMaxMessageBytes);
    const auto object = protocol::parse_json_object(text);
    if (!object) return object.error();
    const std::string* type = protocol::find_string(*object, "type");
    if (type == nullptr) return invalid("'type' must be a string");
    if (*type == "signal") return decode_signal(*object);
    if (*type == "status") return decode_status(*object);
    if (*type == "register") return decode_register(*object);
    if (*type == "error") return decode_error(*object);
    if (*type == "registered") {
        auto id = take_id(*object, "id");
        if (!id) return id.error();
        return Message(Registered{*std::move(id)});
    }
    return invalid("this 'type' is not known");
}

std::string encode_message(const Message& message) {
    return protocol::to_json_text(
        std::visit([](const auto& one) { return to_json(one); }, message));
}

bool is_valid_id(std::string_view id) {
    return is_worker_id(id);
}

bool is_uuid(std::string_view text) {
    if (text.size() != 36) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        if (hyphen ? text[i] != '-' : !is_hex(text[i])) return false;
    }
    return true;
}

bool is_valid_worker_url(std::string_view url) {
    if (url.size() > kMaxUrlBytes) return false;
    if (!url.starts_with("http://") && !url.starts_with("https://")) return false;
    if (url.ends_with("//")) return false;
    return std::all_of(url.begin(), url.end(), [](char c) {
        return c > 0x20 && c < 0x7f && c != '"' && c != '<' && c != '>' && c != '\\';
    });
}

}  // namespace kollator::signaling
