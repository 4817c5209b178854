#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace kollator::crypto::bencode {

struct Limits {
    std::size_t max_bytes = 8U << 20;
    /// Nested lists and dictionaries. A file tree (BEP 52) is one level for each folder.
    std::size_t max_depth = 32;
};

enum class Type : std::uint8_t { kInteger, kString, kList, kDictionary };

/// A view of one value of a bencoded document (BEP 3). It owns nothing and allocates nothing: it is
/// the value's own bytes inside the input, and never outlives that. Comes from parse() only, so its
/// bytes are known to be well-formed; walking over a list or dictionary is linear in its bytes.
class Value {
 public:
    Type type() const;

    /// Exactly the bytes that this value takes in the input; an info-hash is computed over them.
    ByteSpan encoded() const { return encoded_; }

    /// Empty where the value is of another type.
    std::optional<std::int64_t> integer() const;
    std::optional<ByteSpan> string() const;
    std::optional<std::string_view> text() const;

    /// The value under `key`; empty where there is none, or where this is no dictionary.
    std::optional<Value> find(std::string_view key) const;

    /// Calls `each(key, value)` in order, until it gives false. Nothing where this is no
    /// dictionary.
    template <typename Each>
    void for_each_entry(Each&& each) const {
        Walk walk(*this);
        while (const auto entry = walk.next_entry()) {
            if (!each(entry->key, entry->value())) return;
        }
    }

 private:
    friend Result<Value> parse(ByteSpan bytes, const Limits& limits);
    explicit Value(ByteSpan encoded) : encoded_(encoded) {}

    struct Entry {
        std::string_view key;
        ByteSpan encoded;
        Value value() const { return Value(encoded); }
    };
    class Walk {
     public:
        explicit Walk(const Value& dictionary);
        std::optional<Entry> next_entry();

     private:
        ByteSpan rest_;
    };

    ByteSpan encoded_;
};

/// Checks that `bytes` are exactly one value in its one canonical form and gives a view of it.
/// Strict, since two spellings of a value would have two info-hashes: integers without leading
/// zeros, "-0" or more than 64 bits, lengths without leading zeros, dictionary keys sorted as raw
/// bytes and unique, nothing after the value. Takes time linear in the input, no memory but a stack
/// of `max_depth` frames. kInvalid with the position of the fault; kLimit over `max_bytes`.
Result<Value> parse(ByteSpan bytes, const Limits& limits = {});

}  // namespace kollator::crypto::bencode
