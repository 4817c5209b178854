#include "crypto/bencode.h"

#include <fmt/core.h>

#include <limits>
#include <vector>

namespace kollator::crypto::bencode {
namespace {

bool is_digit(std::uint8_t byte) {
    return byte >= '0' && byte <= '9';
}

/// Reads tokens off the front of a span; the one place that knows the grammar of scalars.
class Scanner {
 public:
    explicit Scanner(ByteSpan bytes) : bytes_(bytes) {}

    bool at_end() const { return position_ == bytes_.size(); }
    std::size_t position() const { return position_; }
    std::uint8_t peek() const { return at_end() ? std::uint8_t{0} : bytes_[position_]; }
    void skip_one() { ++position_; }

    /// "i-12e". Empty, with the position at the fault, where it is no canonical integer.
    std::optional<std::int64_t> integer() {
        skip_one();  // 'i'
        const bool negative = peek() == '-';
        if (negative) skip_one();
        const auto magnitude = digits('e');
        constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
        if (!magnitude || *magnitude > kMax + (negative ? 1 : 0)) return std::nullopt;
        if (negative && *magnitude == 0) return std::nullopt;  // "-0"
        return static_cast<std::int64_t>(negative ? 0 - *magnitude : *magnitude);
    }

    /// "3:abc". Empty where the length is not canonical or passes the end.
    std::optional<ByteSpan> string() {
        const auto length = digits(':');
        if (!length || *length > bytes_.size() - position_) return std::nullopt;
        const ByteSpan text = bytes_.subspan(position_, static_cast<std::size_t>(*length));
        position_ += text.size();
        return text;
    }

 private:
    /// Decimal digits without leading zeros, ended by `terminator`.
    std::optional<std::uint64_t> digits(std::uint8_t terminator) {
        const std::size_t start = position_;
        std::uint64_t value = 0;
        for (; is_digit(peek()); skip_one()) {
            const auto digit = static_cast<std::uint64_t>(peek() - '0');
            if (value > (std::numeric_limits<std::uint64_t>::max() - digit) / 10) {
                return std::nullopt;
            }
            value = value * 10 + digit;
        }
        const std::size_t count = position_ - start;
        if (count == 0 || (count > 1 && bytes_[start] == '0')) return std::nullopt;
        if (peek() != terminator) return std::nullopt;
        skip_one();
        return value;
    }

    ByteSpan bytes_;
    std::size_t position_ = 0;
};

struct Frame {
    bool is_dictionary = false;
    bool expects_value = false;  // a dictionary's key has been read
    bool has_key = false;
    std::string_view last_key;
};

Error fault(std::size_t position, const char* what) {
    return make_error(ErrorCode::kInvalid, fmt::format("bencode: {} at byte {}", what, position));
}

/// Takes exactly one value, however deep, off the scanner. With a stack of its own: a stranger's
/// nesting must not be ours.
Status scan_value(Scanner& scanner, std::size_t max_depth) {
    std::vector<Frame> stack;
    do {
        if (scanner.at_end()) return fault(scanner.position(), "the input ends too early");
        const std::uint8_t token = scanner.peek();
        Frame* top = stack.empty() ? nullptr : &stack.back();
        if (top != nullptr && token == 'e') {
            if (top->expects_value) return fault(scanner.position(), "a key without a value");
            scanner.skip_one();
            stack.pop_back();
            continue;
        }
        if (top != nullptr && top->is_dictionary && !top->expects_value) {
            const auto key = scanner.string();
            if (!key) return fault(scanner.position(), "a key that is no canonical string");
            if (top->has_key && as_text(*key) <= top->last_key) {
                return fault(scanner.position(), "keys out of order or twice");
            }
            top->has_key = true;
            top->last_key = as_text(*key);
            top->expects_value = true;
            continue;
        }
        if (top != nullptr) top->expects_value = false;
        if (token == 'l' || token == 'd') {
            if (stack.size() >= max_depth) return fault(scanner.position(), "too deep a nesting");
            scanner.skip_one();
            stack.emplace_back().is_dictionary = token == 'd';
        } else if (token == 'i') {
            if (!scanner.integer()) return fault(scanner.position(), "no canonical integer");
        } else if (!scanner.string()) {
            return fault(scanner.position(), "no canonical string");
        }
    } while (!stack.empty());
    return {};
}

}  // namespace

Result<Value> parse(ByteSpan bytes, const Limits& limits) {
    if (bytes.size() > limits.max_bytes) {
        return make_error(ErrorCode::kLimit, fmt::format("bencode: {} bytes, {} are allowed",
                                                         bytes.size(), limits.max_bytes));
    }
    Scanner scanner(bytes);
    if (auto status = scan_value(scanner, limits.max_depth); !status) return status.error();
    if (!scanner.at_end()) return fault(scanner.position(), "something after the value");
    return Value(bytes);
}

Type Value::type() const {
    switch (encoded_[0]) {
        case 'i':
            return Type::kInteger;
        case 'l':
            return Type::kList;
        case 'd':
            return Type::kDictionary;
        default:
            return Type::kString;
    }
}

std::optional<std::int64_t> Value::integer() const {
    if (type() != Type::kInteger) return std::nullopt;
    return Scanner(encoded_).integer();
}

std::optional<ByteSpan> Value::string() const {
    if (type() != Type::kString) return std::nullopt;
    return Scanner(encoded_).string();
}

std::optional<std::string_view> Value::text() const {
    const auto bytes = string();
    return bytes ? std::optional(as_text(*bytes)) : std::nullopt;
}

std::optional<Value> Value::find(std::string_view key) const {
    Walk walk(*this);
    while (const auto entry = walk.next_entry()) {
        if (entry->key == key) return entry->value();
        if (entry->key > key) break;
    }
    return std::nullopt;
}

Value::Walk::Walk(const Value& dictionary) {
    if (dictionary.type() == Type::kDictionary) rest_ = dictionary.encoded_.subspan(1);
}

std::optional<Value::Entry> Value::Walk::next_entry() {
    if (rest_.empty() || rest_[0] == 'e') return std::nullopt;
    Scanner scanner(rest_);
    const auto key = scanner.string();
    const std::size_t start = scanner.position();
    // parse() has checked the whole: this can only measure.
    KOLLATOR_CHECK(key && scan_value(scanner, std::numeric_limits<std::size_t>::max()));
    const Entry entry{as_text(*key), rest_.subspan(start, scanner.position() - start)};
    rest_ = rest_.subspan(scanner.position());
    return entry;
}

}  // namespace kollator::crypto::bencode
