#include "http/target.h"

namespace kollator::http {
namespace {

Error invalid(std::string detail) {
    return make_error(ErrorCode::kInvalid, std::move(detail));
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/// RFC 9112 3.2.2: "a server MUST accept the absolute-form in requests".
std::string_view strip_authority(std::string_view target) {
    for (const std::string_view scheme : {"http://", "https://"}) {
        if (!equals_ignoring_case(target.substr(0, scheme.size()), scheme)) continue;
        const auto begin = target.find_first_of("/?", scheme.size());
        return begin == std::string_view::npos ? "/" : target.substr(begin);
    }
    return target;
}

bool climbs(std::string_view path) {
    std::size_t begin = 0;
    while (begin < path.size()) {
        std::size_t end = path.find('/', begin);
        if (end == std::string_view::npos) end = path.size();
        const std::string_view segment = path.substr(begin, end - begin);
        if (segment == "." || segment == "..") return true;
        begin = end + 1;
    }
    return false;
}

Result<Fields> parse_query(std::string_view text) {
    Fields fields;
    while (!text.empty()) {
        const auto end = text.find('&');
        const std::string_view pair = text.substr(0, end);
        text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
        if (pair.empty()) continue;
        if (fields.size() == kMaxQueryFields) return invalid("too many query fields");
        const auto equals = pair.find('=');
        auto name = percent_decode(pair.substr(0, equals), true);
        if (!name) return name.error();
        auto value = percent_decode(
            equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1), true);
        if (!value) return value.error();
        fields.emplace_back(*std::move(name), *std::move(value));
    }
    return fields;
}

}  // namespace

Result<std::string> percent_decode(std::string_view text, bool plus_is_space) {
    std::string decoded;
    decoded.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c == '%') {
            if (text.size() - i < 3) return invalid("a percent escape is cut off");
            const int high = hex_digit(text[i + 1]);
            const int low = hex_digit(text[i + 2]);
            if (high < 0 || low < 0) return invalid("a percent escape is not hexadecimal");
            c = static_cast<char>(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) return invalid("a control character in the URL");
        decoded.push_back(c);
    }
    return decoded;
}

Result<Target> parse_target(std::string_view target) {
    if (target.size() > kMaxTargetBytes) return invalid("the URL is too long");
    if (target == "*") return Target{"*", {}};
    target = strip_authority(target);
    // RFC 9112 3.2: a fragment is never sent; some clients do, and it means nothing here.
    target = target.substr(0, target.find('#'));
    const auto question = target.find('?');
    auto path = percent_decode(target.substr(0, question), false);
    if (!path) return path.error();
    if (path->empty() && question == 0) *path = "/";
    if (path->empty() || path->front() != '/') return invalid("the path does not begin with '/'");
    if (climbs(*path)) return invalid("the path has '.' or '..' segments");
    Target result{*std::move(path), {}};
    if (question != std::string_view::npos) {
        auto query = parse_query(target.substr(question + 1));
        if (!query) return query.error();
        result.query = *std::move(query);
    }
    return result;
}

}  // namespace kollator::http
