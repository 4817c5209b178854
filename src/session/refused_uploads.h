#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

#include "base/time.h"
#include "session/transport.h"

namespace kollator::session {

/// Remembers the uploads that were refused while their sender was still sending, so that what comes
/// after the refusal is ignored rather than each fragment answered. An entry goes when all of the
/// upload's bytes have come, when its last fragment has come on an ordered channel, or with time.
/// Until then its request id cannot be used for another upload of the same name. Pure.
class RefusedUploads {
 public:
    using Name = std::array<std::uint8_t, 32>;

    struct Upload {
        std::optional<Name> name;       ///< empty: it could not be read
        std::uint32_t total_bytes = 0;  ///< of no meaning without a name
        std::uint32_t left_bytes = 0;   ///< still to come
    };

    struct Fragment {
        std::optional<Name> name;  ///< empty: it could not be read
        std::uint32_t total_bytes = 0;
        std::size_t size_bytes = 0;
        bool ends_upload = false;  ///< without MORE, on an ordered channel
    };

    RefusedUploads(std::size_t max_entries, Duration memory)
        : max_entries_(max_entries), memory_(memory) {}

    /// Replaces what was known of `key`; over the bound the entry that ends soonest goes.
    void add(const RequestKey& key, const Upload& upload, TimePoint now);

    /// True where `fragment` belongs to a refused upload, and is to be ignored.
    bool swallow(const RequestKey& key, const Fragment& fragment);

    void forget_channel(ChannelHandle channel);
    void expire(TimePoint now);
    std::size_t size() const { return entries_.size(); }

 private:
    struct Entry {
        Upload upload;
        TimePoint expires;
    };

    const std::size_t max_entries_;
    const Duration memory_;
    std::map<RequestKey, Entry> entries_;
};

}  // namespace kollator::session
