#include "session/refused_uploads.h"

#include <algorithm>

namespace kollator::session {

void RefusedUploads::add(const RequestKey& key, const Upload& upload, TimePoint now) {
    if (max_entries_ == 0) return;
    const TimePoint expires = now + std::chrono::duration_cast<TimePoint::duration>(memory_);
    entries_.insert_or_assign(key, Entry{upload, expires});
    if (entries_.size() <= max_entries_) return;
    const auto soonest = std::min_element(
        entries_.begin(), entries_.end(),
        [](const auto& a, const auto& b) { return a.second.expires < b.second.expires; });
    entries_.erase(soonest);
}

bool RefusedUploads::swallow(const RequestKey& key, const Fragment& fragment) {
    const auto found = entries_.find(key);
    if (found == entries_.end()) return false;
    Upload& upload = found->second.upload;
    const bool both_named = upload.name && fragment.name;
    if (both_named &&
        (*upload.name != *fragment.name || upload.total_bytes != fragment.total_bytes)) {
        entries_.erase(found);  // the id is in use for something else
        return false;
    }
    bool over = fragment.ends_upload;
    if (both_named) {
        const auto size = std::min<std::size_t>(fragment.size_bytes, upload.left_bytes);
        upload.left_bytes -= static_cast<std::uint32_t>(size);
        over = over || upload.left_bytes == 0;
    }
    if (over) entries_.erase(found);
    return true;
}

void RefusedUploads::forget_channel(ChannelHandle channel) {
    std::erase_if(entries_, [&](const auto& entry) { return entry.first.channel == channel; });
}

void RefusedUploads::expire(TimePoint now) {
    std::erase_if(entries_, [&](const auto& entry) { return entry.second.expires <= now; });
}

}  // namespace kollator::session
