#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/config.h"
#include "config/parse.h"

namespace kollator::config {

// How the rows of the settings' table fill a Config: each gives a function that parses a value into
// a member, and says false, changing nothing, where it is not what is expected.

using Setter = std::function<bool(Config&, const std::string&)>;

inline Setter text(std::string Config::*member) {
    return [member](Config& config, const std::string& value) {
        config.*member = value;
        return true;
    };
}

inline Setter path(std::filesystem::path Config::*member) {
    return [member](Config& config, const std::string& value) {
        config.*member = value;
        return true;
    };
}

template <typename Integer>
Setter integer(Integer Config::*member, std::uint64_t min, std::uint64_t max,
               std::uint64_t unit = 1) {
    return [=](Config& config, const std::string& value) {
        const auto number = parse_integer(value, min, max);
        if (number) config.*member = static_cast<Integer>(*number * unit);
        return number.has_value();
    };
}

template <typename Unit>
Setter duration(Unit Config::*member, std::uint64_t min, std::uint64_t max) {
    return [=](Config& config, const std::string& value) {
        const auto number = parse_integer(value, min, max);
        if (number) config.*member = Unit(static_cast<std::int64_t>(*number));
        return number.has_value();
    };
}

inline Setter days(std::chrono::hours Config::*member, std::uint64_t min, std::uint64_t max) {
    return [=](Config& config, const std::string& value) {
        const auto number = parse_integer(value, min, max);
        if (number) config.*member = std::chrono::hours(24 * static_cast<std::int64_t>(*number));
        return number.has_value();
    };
}

inline Setter checked(std::string Config::*member, std::function<bool(const std::string&)> good) {
    return [member, good = std::move(good)](Config& config, const std::string& value) {
        if (!good(value)) return false;
        config.*member = value;
        return true;
    };
}

inline Setter one_of(std::string Config::*member, std::vector<std::string> names) {
    return checked(member, [names = std::move(names)](const std::string& value) {
        return std::find(names.begin(), names.end(), value) != names.end();
    });
}

/// A list whose every item `parse` accepts (gives a value for).
template <typename Item, typename Parse>
Setter list(std::vector<Item> Config::*member, Parse parse) {
    return [member, parse](Config& config, const std::string& value) {
        std::vector<Item> items;
        for (const std::string& raw : split_list(value)) {
            auto item = parse(raw);
            if (!item) return false;
            items.push_back(std::move(*item));
        }
        config.*member = std::move(items);
        return true;
    };
}

template <typename Predicate>
auto if_good(Predicate good) {
    return [good](const std::string& item) {
        return good(item) ? std::optional<std::string>(item) : std::nullopt;
    };
}

inline Setter boolean(bool Config::*member) {
    return [member](Config& config, const std::string& value) {
        const auto flag = parse_bool(value);
        if (flag) config.*member = *flag;
        return flag.has_value();
    };
}

}  // namespace kollator::config
