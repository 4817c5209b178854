#include "rtc/mux/send_queue.h"

namespace kollator::rtc {

namespace {

constexpr std::size_t kCompactBytes = SendQueue::kMaxBytes / 4;

}  // namespace

bool SendQueue::push(const IcePath& path, ByteSpan datagram) {
    // Empty datagrams cannot be cut out of a run, and nobody has a use for them.
    if (datagram.empty() || datagram.size() > kMaxRunBytes) return false;
    if (storage_.size() + datagram.size() > kMaxBytes) return false;
    entries_.push_back({path, storage_.size(), datagram.size()});
    storage_.insert(storage_.end(), datagram.begin(), datagram.end());
    return true;
}

SendRun SendQueue::run_at(std::size_t skip, std::size_t max_count) const {
    const Entry* const first = &entries_[next_ + skip];
    const Entry* const end = entries_.data() + entries_.size();
    SendRun run{first->path, {}, first->size, 1};
    std::size_t total = first->size;
    for (const Entry* entry = first + 1; entry != end && run.count < max_count; ++entry) {
        const bool fits = entry->size <= first->size && total + entry->size <= kMaxRunBytes;
        if (!fits || entry->path != first->path) break;
        total += entry->size;
        ++run.count;
        if (entry->size < first->size) break;
    }
    run.bytes = ByteSpan(storage_).subspan(first->offset, total);
    return run;
}

void SendQueue::pop(std::size_t count) {
    for (; count > 0; --count) sent_bytes_ += entries_[next_++].size;
    if (!empty() && sent_bytes_ < kCompactBytes) return;
    // What is left moves to the front: seldom, since it is nothing but where the kernel was full.
    storage_.erase(storage_.begin(), storage_.begin() + static_cast<std::ptrdiff_t>(sent_bytes_));
    entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(next_));
    for (Entry& entry : entries_) entry.offset -= sent_bytes_;
    next_ = 0;
    sent_bytes_ = 0;
}

}  // namespace kollator::rtc
