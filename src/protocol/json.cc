#include "protocol/json.h"

#include <fmt/format.h>

#include <limits>
#include <utility>

namespace kollator::protocol {

using nlohmann::json;

Result<json> parse_json(std::string_view text, const JsonLimits& limits) {
    if (text.size() > limits.max_bytes) {
        return make_error(ErrorCode::kLimit, fmt::format("JSON of {} bytes, {} are allowed",
                                                         text.size(), limits.max_bytes));
    }
    bool too_deep = false;
    // nlohmann's parser keeps a stack of its own, so parsing is safe at any depth; what is too deep
    // is dropped as it comes, so that nothing deep is ever built.
    const auto watch_depth = [&](int depth, json::parse_event_t event, json&) {
        const bool opens =
            event == json::parse_event_t::object_start || event == json::parse_event_t::array_start;
        if (!opens || static_cast<std::size_t>(depth) < limits.max_depth) return true;
        too_deep = true;
        return false;
    };
    json value = json::parse(text.begin(), text.end(), watch_depth, /*allow_exceptions=*/false);
    if (too_deep) {
        return make_error(ErrorCode::kLimit,
                          fmt::format("JSON nested deeper than {}", limits.max_depth));
    }
    if (value.is_discarded()) return make_error(ErrorCode::kInvalid, "not valid JSON");
    return value;
}

Result<json> parse_json_object(std::string_view text, const JsonLimits& limits) {
    Result<json> value = parse_json(text, limits);
    if (value.ok() && !value->is_object()) {
        return make_error(ErrorCode::kInvalid, "the JSON value is no object");
    }
    return value;
}

std::string to_json_text(const json& value) {
    return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

const json* find_member(const json& object, const char* name) {
    if (!object.is_object()) return nullptr;
    const auto found = object.find(name);
    return found == object.end() ? nullptr : &*found;
}

const std::string* find_string(const json& object, const char* name) {
    const json* member = find_member(object, name);
    return member == nullptr ? nullptr : member->get_ptr<const std::string*>();
}

std::optional<std::uint64_t> find_unsigned(const json& object, const char* name) {
    const json* member = find_member(object, name);
    if (member == nullptr || !member->is_number_unsigned()) return std::nullopt;
    return member->get<std::uint64_t>();
}

std::optional<std::int64_t> find_integer(const json& object, const char* name) {
    const json* member = find_member(object, name);
    if (member == nullptr || !member->is_number_integer()) return std::nullopt;
    if (member->is_number_unsigned() &&
        member->get<std::uint64_t>() > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
        return std::nullopt;
    }
    return member->get<std::int64_t>();
}

std::optional<bool> find_bool(const json& object, const char* name) {
    const json* member = find_member(object, name);
    if (member == nullptr || !member->is_boolean()) return std::nullopt;
    return member->get<bool>();
}

}  // namespace kollator::protocol
