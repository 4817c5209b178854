#pragma once

#include <algorithm>
#include <string_view>

namespace kollator {

/// A worker's id as it may stand in tokens, messages and URLs: [A-Za-z0-9._-]{1,64}.
inline bool is_worker_id(std::string_view text) {
    return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               c == '.' || c == '_' || c == '-';
    });
}

}  // namespace kollator
