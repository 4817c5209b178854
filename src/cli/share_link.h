#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace kollator::cli {

/// `<front>/#<info-hash, 64 hex digits>[/<name>]`, as the page makes them (client/src/link.ts).
struct ShareLink {
    MetadataId info_hash;
    std::string name{};       ///< for people only: the metadata knows the real one
    std::string front_url{};  ///< "http://host:8080", without a slash; empty in a bare link

    bool operator==(const ShareLink&) const = default;
};

/// Takes a whole link, its fragment, or the bare digits. Empty where it is no share link.
std::optional<ShareLink> parse_link(std::string_view text);

/// Without a front: the fragment alone, which the page takes too.
std::string format_link(const ShareLink& link);

}  // namespace kollator::cli
