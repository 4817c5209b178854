#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/check.h"

namespace kollator {

/// Named by what the caller does next.
enum class ErrorCode {
    kNotFound,     ///< it does not exist: say so, or make it
    kCorrupt,      ///< the bytes are wrong: drop them, fetch them elsewhere
    kUnavailable,  ///< something outside is out of order: try again later
    kTimeout,      ///< no answer in time: try again later
    kInvalid,      ///< the input is wrong: refuse it, do not try again
    kLimit,        ///< a bound is reached: try again when there is room
    kCancelled,    ///< somebody wanted no answer any more
    kInternal,     ///< our own fault: log it
};

/// The code's name as logs show it, such as "not-found".
std::string_view to_string(ErrorCode code);

struct Error {
    ErrorCode code = ErrorCode::kInternal;
    std::string detail;  ///< for people: what was wrong, and where it helps, what to do

    bool operator==(const Error&) const = default;
};

/// A value or an Error. Asking for the one that is not there is a programmer's error.
template <typename T>
class [[nodiscard]] Result {
 public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    bool ok() const { return state_.index() == 0; }
    explicit operator bool() const { return ok(); }

    T& value() & {
        KOLLATOR_CHECK(ok());
        return *std::get_if<0>(&state_);
    }
    const T& value() const& {
        KOLLATOR_CHECK(ok());
        return *std::get_if<0>(&state_);
    }
    T&& value() && {
        KOLLATOR_CHECK(ok());
        return std::move(*std::get_if<0>(&state_));
    }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T&& operator*() && { return std::move(*this).value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }

    const Error& error() const {
        KOLLATOR_CHECK(!ok());
        return *std::get_if<1>(&state_);
    }

 private:
    std::variant<T, Error> state_;
};

/// Success without a value, or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
    Result() = default;
    Result(Error error) : error_(std::move(error)) {}

    bool ok() const { return !error_.has_value(); }
    explicit operator bool() const { return ok(); }
    const Error& error() const {
        KOLLATOR_CHECK(!ok());
        return *error_;
    }

 private:
    std::optional<Error> error_;
};

using Status = Result<void>;

inline Error make_error(ErrorCode code, std::string detail) {
    return Error{code, std::move(detail)};
}

}  // namespace kollator
