#include "store/s3/responses.h"

#include <charconv>
#include <chrono>
#include <optional>

#include "store/object_store.h"
#include "store/s3/xml.h"

namespace kollator::store::s3 {
namespace {

/// S3's own limit on a key.
constexpr std::size_t kMaxKeyBytes = 1024;
constexpr std::size_t kMaxCodeBytes = 64;
constexpr std::size_t kMaxMessageBytes = 256;

Error wrong(std::string_view what) {
    return make_error(ErrorCode::kCorrupt, "the list that the server sent " + std::string(what));
}

std::string printable(std::string_view text, std::size_t max_bytes) {
    std::string out(text.substr(0, max_bytes));
    for (char& c : out) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
    }
    return out;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

/// Collects what stands in one `<Contents>` and in the list around it.
class ListBuilder {
 public:
    void open(std::string_view name, std::size_t depth) {
        text_.clear();
        if (depth == 1) is_list_ = name == "ListBucketResult";
        if (depth == 2 && name == "Contents") current_ = Entry{};
    }
    void text(std::string_view piece) { text_ += piece; }

    /// `depth`: of what stays open.
    Status close(std::string_view name, std::size_t depth) {
        if (!is_list_ && depth == 0) return wrong("is none");
        if (depth == 1 && name == "IsTruncated") return set_truncated();
        if (depth == 1 && name == "Contents") return end_entry();
        if (depth == 2 && current_ && name == "Key") current_->key = text_;
        if (depth == 2 && current_ && name == "Size") current_->size = parse_size(text_);
        if (depth == 2 && current_ && name == "LastModified") {
            current_->modified_s = parse_time(text_);
        }
        text_.clear();
        return {};
    }
    ListResponse take() { return std::move(response_); }

 private:
    struct Entry {
        std::string key;
        std::optional<std::uint64_t> size;
        std::int64_t modified_s = 0;
    };

    Status set_truncated() {
        if (text_ != "true" && text_ != "false") return wrong("says neither true nor false");
        response_.truncated = text_ == "true";
        return {};
    }
    Status end_entry() {
        if (current_->key.empty() || current_->key.size() > kMaxKeyBytes || !current_->size) {
            return wrong("has an entry without a fit key or size");
        }
        if (response_.objects.size() == kMaxListEntries) return wrong("is longer than allowed");
        response_.objects.push_back(
            {std::move(current_->key), *current_->size, current_->modified_s});
        current_.reset();
        return {};
    }

    bool is_list_ = false;
    std::optional<Entry> current_;
    std::string text_;
    ListResponse response_;
};

}  // namespace

ErrorResponse parse_error(std::string_view xml) {
    ErrorResponse response;
    XmlReader reader(xml);
    std::string text;
    bool is_error = false;
    while (true) {
        const auto event = reader.next();
        // A document cut short still names its code.
        if (!event || *event == XmlReader::Event::kEnd) return response;
        if (*event == XmlReader::Event::kText) text += reader.text();
        if (*event == XmlReader::Event::kOpen) {
            text.clear();
            if (reader.depth() == 1) is_error = reader.name() == "Error";
        }
        if (*event == XmlReader::Event::kClose && reader.depth() == 1 && is_error) {
            if (reader.name() == "Code") response.code = printable(text, kMaxCodeBytes);
            if (reader.name() == "Message") response.message = printable(text, kMaxMessageBytes);
        }
    }
}

std::int64_t parse_time(std::string_view text) {
    constexpr std::string_view kForm = "dddd-dd-ddTdd:dd:dd";
    if (text.size() <= kForm.size() || text.back() != 'Z') return 0;
    for (std::size_t i = 0; i < kForm.size(); ++i) {
        const bool digit = text[i] >= '0' && text[i] <= '9';
        if (kForm[i] == 'd' ? !digit : text[i] != kForm[i]) return 0;
    }
    const auto number = [&](std::size_t at, std::size_t count) {
        unsigned value = 0;
        for (std::size_t i = at; i < at + count; ++i) {
            value = value * 10 + static_cast<unsigned>(text[i] - '0');
        }
        return value;
    };
    const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(number(0, 4))),
                                           std::chrono::month(number(5, 2)),
                                           std::chrono::day(number(8, 2))};
    const unsigned hour = number(11, 2);
    const unsigned minute = number(14, 2);
    const unsigned second = number(17, 2);
    if (!date.ok() || hour > 23 || minute > 59 || second > 60) return 0;
    const std::chrono::seconds day = std::chrono::sys_days(date).time_since_epoch();
    const std::int64_t time = day.count() + hour * 3600 + minute * 60 + second;
    return time > 0 ? time : 0;
}

Result<ListResponse> parse_list(std::string_view xml) {
    XmlReader reader(xml);
    ListBuilder list;
    while (true) {
        const auto event = reader.next();
        if (!event) return event.error();
        if (*event == XmlReader::Event::kEnd) return list.take();
        if (*event == XmlReader::Event::kOpen) list.open(reader.name(), reader.depth());
        if (*event == XmlReader::Event::kText) list.text(reader.text());
        if (*event == XmlReader::Event::kClose) {
            if (auto status = list.close(reader.name(), reader.depth()); !status) {
                return status.error();
            }
        }
    }
}

}  // namespace kollator::store::s3
