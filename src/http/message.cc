#include "http/message.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/check.h"

namespace kollator::http {
namespace {

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

const std::string* find_field(const Fields& fields, std::string_view name) {
    for (const auto& [key, value] : fields) {
        if (equals_ignoring_case(key, name)) return &value;
    }
    return nullptr;
}

}  // namespace

bool equals_ignoring_case(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return lower(x) == lower(y); });
}

Response unavailable_response(std::string_view message) {
    Response response = error_response(503, "unavailable", message);
    response.headers.emplace_back("Retry-After", "5");
    return response;
}

Response fresh(Response response) {
    response.headers.emplace_back("Cache-Control", "no-store");
    return response;
}

bool media_type_is(std::string_view content_type, std::string_view expected) {
    content_type = content_type.substr(0, content_type.find(';'));
    const auto end = content_type.find_last_not_of(" \t");
    content_type = content_type.substr(0, end == std::string_view::npos ? 0 : end + 1);
    return equals_ignoring_case(content_type, expected);
}

std::string_view Request::header(std::string_view name) const {
    const std::string* value = find_field(headers, name);
    return value != nullptr ? std::string_view(*value) : std::string_view();
}

bool Request::has_header(std::string_view name) const {
    return find_field(headers, name) != nullptr;
}

std::optional<std::string_view> Request::query_value(std::string_view name) const {
    for (const auto& [key, value] : query) {
        if (key == name) return value;
    }
    return std::nullopt;
}

std::string_view Request::param(std::string_view name) const {
    const auto found = params.find(name);
    return found != params.end() ? std::string_view(found->second) : std::string_view();
}

std::string_view Response::body_view() const {
    if (const auto* text = std::get_if<std::string>(&body)) return *text;
    const auto& bytes = *std::get_if<std::span<const std::uint8_t>>(&body);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::size_t Response::body_size() const {
    return body_view().size();
}

bool Response::has_header(std::string_view name) const {
    return find_field(headers, name) != nullptr;
}

Response json_response(int status, std::string json) {
    return {.status = status, .content_type = "application/json", .body = std::move(json)};
}

Response text_response(int status, std::string text) {
    return {.status = status, .content_type = "text/plain; charset=utf-8", .body = std::move(text)};
}

Response error_response(int status, std::string_view code, std::string_view message) {
    const nlohmann::json json = {{"error", {{"code", code}, {"message", message}}}};
    // What a stranger sent may be quoted in the message: bytes that are no UTF-8 must not throw.
    return json_response(status,
                         json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

struct Responder::State {
    Sink sink;
    ~State() {
        if (sink)
            sink(error_response(500, "internal", "the request was dropped without an answer"));
    }
};

Responder::Responder(Sink sink) : state_(std::make_shared<State>()) {
    state_->sink = std::move(sink);
}

void Responder::send(Response response) const {
    KOLLATOR_CHECK(state_->sink);
    const Sink sink = std::exchange(state_->sink, nullptr);
    sink(std::move(response));
}

bool Responder::answered() const {
    return !state_->sink;
}

}  // namespace kollator::http
