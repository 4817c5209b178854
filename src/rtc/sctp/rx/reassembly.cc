#include "rtc/sctp/rx/reassembly.h"

#include <algorithm>
#include <iterator>
#include <limits>

namespace kollator::rtc::sctp {
namespace {

/// a - b in serial arithmetic.
std::int16_t distance(std::uint16_t a, std::uint16_t b) {
    return static_cast<std::int16_t>(static_cast<std::uint16_t>(a - b));
}

bool same_message(const DataChunk& a, const DataChunk& b) {
    return a.stream == b.stream && a.unordered() == b.unordered() &&
           (a.unordered() || a.ssn == b.ssn);
}

}  // namespace

Reassembly::Outcome Reassembly::add(Tsn tsn, const DataChunk& data,
                                    std::vector<ReceivedMessage>& out) {
    if (data.payload.size() > max_message_bytes_) return Outcome::kTooLarge;
    stream_at(data.stream).used = true;
    if (!data.begins() || !data.ends()) return add_fragment(tsn, data, out);
    deliver(data, Bytes(data.payload.begin(), data.payload.end()), out);
    return Outcome::kOk;
}

Reassembly::Outcome Reassembly::add_fragment(Tsn tsn, const DataChunk& data,
                                             std::vector<ReceivedMessage>& out) {
    auto run = latest_;
    if (run == runs_.end() || run->second.last + 1 != tsn) {
        run = runs_.lower_bound(tsn);
        run = run == runs_.begin() ? runs_.end() : std::prev(run);
        if (run != runs_.end() && run->second.last + 1 != tsn) run = runs_.end();
    }
    if (run == runs_.end() || run->second.ends || data.begins()) {
        run = runs_.try_emplace(tsn).first;
        run->second.head = data;
        run->second.head.payload = {};
        run->second.begins = data.begins();
    } else if (!same_message(run->second.head, data)) {
        return Outcome::kViolation;
    }
    append(run->second, tsn, data);
    join_next(run);
    latest_ = run;
    if (run->second.size_bytes > max_message_bytes_) return Outcome::kTooLarge;
    if (!run->second.begins || !run->second.ends) return Outcome::kOk;

    discount(run->second);
    Bytes bytes = take_bytes(run->second);
    const DataChunk head = run->second.head;
    runs_.erase(run);
    latest_ = runs_.end();
    deliver(head, std::move(bytes), out);
    return Outcome::kOk;
}

void Reassembly::append(Run& run, Tsn tsn, const DataChunk& data) {
    if (run.pieces.empty()) {
        run.pieces.emplace_back();
        held_bytes_ += kOverheadBytes;
        if (!pooled_) {
            pooled_ = run.pooled = true;
            run.pieces.back() = pool_.take();
            run.spare_bytes = run.pieces.back().capacity();
            spare_bytes_ += run.spare_bytes;
        }
    }
    Bytes& piece = run.pieces.back();
    const std::size_t before = piece.capacity() - piece.size();
    piece.insert(piece.end(), data.payload.begin(), data.payload.end());
    const std::size_t change = piece.capacity() - piece.size() - before;  // or less than none
    run.spare_bytes += change;
    spare_bytes_ += change;
    run.last = tsn;
    run.ends = data.ends();
    run.size_bytes += data.payload.size();
    held_bytes_ += data.payload.size();
}

void Reassembly::join_next(Runs::iterator run) {
    if (run->second.ends) return;
    const auto next = std::next(run);
    if (next == runs_.end() || next->first != run->second.last + 1 || next->second.begins) return;
    if (!same_message(run->second.head, next->second.head)) return;
    run->second.last = next->second.last;
    run->second.ends = next->second.ends;
    run->second.size_bytes += next->second.size_bytes;
    run->second.spare_bytes += next->second.spare_bytes;
    run->second.pooled = run->second.pooled || next->second.pooled;
    run->second.pieces.splice(run->second.pieces.end(), next->second.pieces);
    runs_.erase(next);
}

void Reassembly::discount(const Run& run) {
    held_bytes_ -= run.size_bytes + run.pieces.size() * kOverheadBytes;
    spare_bytes_ -= run.spare_bytes;
    if (run.pooled) pooled_ = false;
}

Bytes Reassembly::take_bytes(Run& run) {
    Bytes bytes = std::move(run.pieces.front());
    run.pieces.pop_front();
    bytes.reserve(run.size_bytes);
    for (Bytes& piece : run.pieces) {
        bytes.insert(bytes.end(), piece.begin(), piece.end());
        pool_.give_back(std::move(piece));
    }
    return bytes;
}

Reassembly::Stream& Reassembly::stream_at(std::uint16_t stream) {
    if (streams_.size() <= stream) streams_.resize(std::size_t{stream} + 1);
    return streams_[stream];
}

std::vector<std::uint16_t> Reassembly::used_streams() const {
    std::vector<std::uint16_t> used;
    for (std::size_t stream = 0; stream < streams_.size(); ++stream) {
        if (streams_[stream].used) used.push_back(static_cast<std::uint16_t>(stream));
    }
    return used;
}

void Reassembly::deliver(const DataChunk& head, Bytes bytes, std::vector<ReceivedMessage>& out) {
    if (head.unordered()) {
        out.push_back({head.stream, head.ppid, std::move(bytes)});
        return;
    }
    std::uint16_t& next = stream_at(head.stream).next_ssn;
    if (head.ssn == next) {
        ++next;
        out.push_back({head.stream, head.ppid, std::move(bytes)});
        if (!waiting_.empty()) release(head.stream, out);
    } else if (distance(head.ssn, next) > 0) {
        pool_.fit(bytes);
        const std::size_t size = bytes.size();
        const auto [at, added] =
            waiting_.try_emplace({head.stream, head.ssn}, Waiting{head.ppid, std::move(bytes)});
        if (added) held_bytes_ += size + kOverheadBytes;
    }  // else the peer numbered two messages alike, or gave this one up before
}

/// Gives what waited and is in turn now.
void Reassembly::release(std::uint16_t stream, std::vector<ReceivedMessage>& out) {
    std::uint16_t& next = stream_at(stream).next_ssn;
    for (auto at = waiting_.find({stream, next}); at != waiting_.end();
         at = waiting_.find({stream, next})) {
        held_bytes_ -= at->second.bytes.size() + kOverheadBytes;
        out.push_back({stream, at->second.ppid, std::move(at->second.bytes)});
        waiting_.erase(at);
        ++next;
    }
}

void Reassembly::forward_to(Tsn tsn, Tsn cumulative) {
    auto at = runs_.begin();
    while (at != runs_.end() && at->first <= cumulative) {
        // Above `tsn`, what has no beginning gets none any more.
        const bool dead = at->first <= tsn || !at->second.begins || at->second.last < cumulative;
        if (!dead) {
            ++at;
            continue;
        }
        discount(at->second);
        at = runs_.erase(at);
    }
    latest_ = runs_.end();
}

void Reassembly::skip(std::uint16_t stream, std::uint16_t ssn, std::vector<ReceivedMessage>& out) {
    std::uint16_t& next = stream_at(stream).next_ssn;
    if (distance(ssn, next) < 0) return;
    // RFC 3758 3.6: what waited below is delivered, in order; then the row goes on behind it.
    if (next <= ssn) {
        release_row(stream, next, ssn, out);
    } else {
        release_row(stream, next, std::numeric_limits<std::uint16_t>::max(), out);
        release_row(stream, 0, ssn, out);
    }
    next = static_cast<std::uint16_t>(ssn + 1);
    release(stream, out);
}

/// Gives what waits from `first` to `last`, where there is something.
void Reassembly::release_row(std::uint16_t stream, std::uint16_t first, std::uint16_t last,
                             std::vector<ReceivedMessage>& out) {
    auto at = waiting_.lower_bound({stream, first});
    while (at != waiting_.end() && at->first <= std::pair(stream, last)) {
        held_bytes_ -= at->second.bytes.size() + kOverheadBytes;
        out.push_back({stream, at->second.ppid, std::move(at->second.bytes)});
        at = waiting_.erase(at);
    }
}

void Reassembly::reset_stream(std::uint16_t stream) {
    if (stream < streams_.size()) streams_[stream] = {};
    auto at = waiting_.lower_bound({stream, std::uint16_t{0}});
    while (at != waiting_.end() && at->first.first == stream) {
        held_bytes_ -= at->second.bytes.size() + kOverheadBytes;
        at = waiting_.erase(at);
    }
}

}  // namespace kollator::rtc::sctp
