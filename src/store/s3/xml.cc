#include "store/s3/xml.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <utility>

namespace kollator::store::s3 {
namespace {

bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool is_name_character(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == ':';
}

std::string_view local_part(std::string_view name) {
    const std::size_t colon = name.rfind(':');
    return colon == std::string_view::npos ? name : name.substr(colon + 1);
}

void append_utf8(std::string& out, std::uint32_t point) {
    const auto push = [&out](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
    if (point < 0x80) {
        push(point);
    } else if (point < 0x800) {
        push(0xC0 | (point >> 6));
        push(0x80 | (point & 0x3F));
    } else if (point < 0x10000) {
        push(0xE0 | (point >> 12));
        push(0x80 | ((point >> 6) & 0x3F));
        push(0x80 | (point & 0x3F));
    } else {
        push(0xF0 | (point >> 18));
        push(0x80 | ((point >> 12) & 0x3F));
        push(0x80 | ((point >> 6) & 0x3F));
        push(0x80 | (point & 0x3F));
    }
}

bool is_character(std::uint32_t point) {
    return point > 0 && point <= 0x10FFFF && (point < 0xD800 || point > 0xDFFF);
}

}  // namespace

Error XmlReader::broken(std::string_view why) const {
    return make_error(ErrorCode::kCorrupt, "broken XML: " + std::string(why));
}

bool XmlReader::take(std::string_view what) {
    if (!rest_.starts_with(what)) return false;
    rest_.remove_prefix(what.size());
    return true;
}

bool XmlReader::skip_past(std::string_view end) {
    const std::size_t at = rest_.find(end);
    if (at == std::string_view::npos) return false;
    rest_.remove_prefix(at + end.size());
    return true;
}

void XmlReader::skip_spaces() {
    while (!rest_.empty() && is_space(rest_.front())) rest_.remove_prefix(1);
}

std::string_view XmlReader::take_name() {
    const auto end = std::find_if_not(rest_.begin(), rest_.end(), is_name_character);
    const auto length = static_cast<std::size_t>(end - rest_.begin());
    if (length > kMaxNameBytes) return {};
    const std::string_view name = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return name;
}

Result<XmlReader::Event> XmlReader::next() {
    if (close_pending_) {
        close_pending_ = false;
        open_.pop_back();
        return Event::kClose;
    }
    while (true) {
        if (open_.empty()) skip_spaces();
        if (rest_.empty()) {
            if (!open_.empty()) return broken("it ends inside an element");
            if (!seen_root_) return broken("it is empty");
            return Event::kEnd;
        }
        if (take("<!--")) {
            if (!skip_past("-->")) return broken("a comment does not end");
        } else if (take("<?")) {
            if (!skip_past("?>")) return broken("an instruction does not end");
        } else if (rest_.front() != '<' || rest_.starts_with("<![CDATA[")) {
            if (open_.empty()) return broken("text outside of the root");
            return character_data();
        } else {
            return tag();
        }
    }
}

Result<XmlReader::Event> XmlReader::tag() {
    if (rest_.starts_with("<!")) return broken("a DOCTYPE is not allowed");
    if (take("</")) return close_tag();
    take("<");
    return open_tag();
}

Result<XmlReader::Event> XmlReader::open_tag() {
    if (open_.empty() && seen_root_) return broken("a second root");
    if (open_.size() == kMaxDepth) return broken("it is too deep");
    const std::string_view name = take_name();
    if (name.empty()) return broken("an element without a fit name");
    if (!skip_attributes()) return broken("an attribute is wrong");
    close_pending_ = take("/");
    if (!take(">")) return broken("a tag does not end");
    seen_root_ = true;
    open_.push_back(name);
    name_ = local_part(name);
    return Event::kOpen;
}

bool XmlReader::skip_attributes() {
    while (true) {
        const std::size_t before = rest_.size();
        skip_spaces();
        if (rest_.empty()) return false;
        if (rest_.front() == '>' || rest_.front() == '/') return true;
        if (rest_.size() == before || take_name().empty()) return false;
        skip_spaces();
        if (!take("=")) return false;
        skip_spaces();
        if (rest_.empty() || (rest_.front() != '"' && rest_.front() != '\'')) return false;
        const std::string_view quote = rest_.substr(0, 1);
        rest_.remove_prefix(1);
        if (!skip_past(quote)) return false;
    }
}

Result<XmlReader::Event> XmlReader::close_tag() {
    const std::string_view name = take_name();
    skip_spaces();
    if (!take(">")) return broken("a closing tag does not end");
    if (open_.empty() || open_.back() != name) return broken("a closing tag closes nothing");
    open_.pop_back();
    name_ = local_part(name);
    return Event::kClose;
}

Result<XmlReader::Event> XmlReader::character_data() {
    text_.clear();
    if (take("<![CDATA[")) {
        const std::size_t end = rest_.find("]]>");
        if (end == std::string_view::npos) return broken("a CDATA section does not end");
        text_ = rest_.substr(0, end);
        rest_.remove_prefix(end + 3);
        return Event::kText;
    }
    while (!rest_.empty() && rest_.front() != '<') {
        if (rest_.front() == '&') {
            if (!append_reference()) return broken("a reference is wrong");
            continue;
        }
        const std::size_t plain = std::min(rest_.find_first_of("<&"), rest_.size());
        text_ += rest_.substr(0, plain);
        rest_.remove_prefix(plain);
    }
    return Event::kText;
}

bool XmlReader::append_reference() {
    static constexpr std::pair<std::string_view, char> kNamed[] = {
        {"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}, {"&apos;", '\''}};
    for (const auto& [reference, character] : kNamed) {
        if (!take(reference)) continue;
        text_.push_back(character);
        return true;
    }
    if (!take("&#")) return false;
    const int base = take("x") ? 16 : 10;
    std::uint32_t point = 0;
    const char* const begin = rest_.data();
    const auto [end, error] = std::from_chars(begin, begin + rest_.size(), point, base);
    if (error != std::errc() || !is_character(point)) return false;
    rest_.remove_prefix(static_cast<std::size_t>(end - begin));
    if (!take(";")) return false;
    append_utf8(text_, point);
    return true;
}

}  // namespace kollator::store::s3
