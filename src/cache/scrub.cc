#include "cache/scrub.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "base/log.h"
#include "cache/chunk_file.h"
#include "cache/folder.h"
#include "cache/snapshot.h"

namespace kollator::cache {
namespace {

const log::Logger kLog("scrub");

constexpr std::string_view kMagic = "kollator-scrub-1";
constexpr std::size_t kMaxStateBytes = 1024;
/// Between two looks while others have work to do.
constexpr std::chrono::milliseconds kPutOff{100};
/// No pass has less time than this left: what is late is made up for at the highest rate.
constexpr double kLeastSecondsLeft = 60;

std::string body_of(const ScrubState& state) {
    return fmt::format("{} {} {} {} {} {} {} {}", kMagic, state.position.hex(), state.pass_began_s,
                       state.pass_ended_s, state.passes, state.checked, state.checked_bytes,
                       state.damaged);
}

std::vector<std::string_view> words_of(std::string_view text) {
    std::vector<std::string_view> words;
    while (true) {
        const std::size_t end = text.find(' ');
        words.push_back(text.substr(0, end));
        if (end == std::string_view::npos) return words;
        text.remove_prefix(end + 1);
    }
}

template <typename Number>
bool parse_number(std::string_view text, Number& out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::string format_scrub_state(const ScrubState& state) {
    const std::string body = body_of(state);
    return fmt::format("{} {:016x}\n", body, checksum(as_bytes(body)));
}

std::optional<ScrubState> parse_scrub_state(std::string_view text) {
    constexpr std::size_t kWords = 9;
    if (text.empty() || text.back() != '\n') return std::nullopt;
    const auto words = words_of(text.substr(0, text.size() - 1));
    if (words.size() != kWords || words[0] != kMagic) return std::nullopt;
    ScrubState state;
    const auto position = ChunkId::from_hex(words[1]);
    const bool numbers =
        parse_number(words[2], state.pass_began_s) && parse_number(words[3], state.pass_ended_s) &&
        parse_number(words[4], state.passes) && parse_number(words[5], state.checked) &&
        parse_number(words[6], state.checked_bytes) && parse_number(words[7], state.damaged);
    if (!position || !numbers) return std::nullopt;
    state.position = *position;
    if (format_scrub_state(state) != text) return std::nullopt;
    return state;
}

double share_up_to(const ChunkId& position) {
    return static_cast<double>(load_u64(position.bytes().data())) / 18446744073709551616.0;
}

double scrub_rate(const ScrubState& state, std::uint64_t cached_bytes, std::int64_t now_s,
                  const ScrubOptions& options) {
    const auto interval_s = static_cast<double>(
        std::chrono::duration_cast<std::chrono::seconds>(options.interval).count());
    const double spent_s = static_cast<double>(now_s - state.pass_began_s);
    const double left_s = std::max(interval_s - spent_s, kLeastSecondsLeft);
    const double left_bytes = static_cast<double>(cached_bytes) * (1 - share_up_to(state.position));
    return std::min(left_bytes / left_s, static_cast<double>(options.max_bytes_per_second));
}

Scrubber::Scrubber(EventLoop& loop, JobPool& jobs, FileSystem& fs, const Clock& clock,
                   DiskCache& disk_cache, ScrubOptions options, OnDamaged on_damaged)
    : loop_(loop),
      jobs_(jobs),
      fs_(fs),
      clock_(clock),
      cache_(disk_cache),
      options_(std::move(options)),
      on_damaged_(std::move(on_damaged)),
      timer_(loop) {
    if (options_.interval == Duration::zero()) return;
    jobs_.run(
        loop_,
        [&fs = fs_, path = options_.folder / kScrubStateName]() -> std::optional<ScrubState> {
            const auto bytes = read_file(fs, path, kMaxStateBytes);
            if (!bytes) return std::nullopt;
            return parse_scrub_state(as_text(*bytes));
        },
        [this, alive = std::weak_ptr(alive_)](std::optional<ScrubState> kept) {
            if (!alive.expired() && !closed_) begin(kept);
        });
}

void Scrubber::begin(std::optional<ScrubState> kept) {
    // A clock that was set back leaves a pass that begins in the future.
    if (kept && kept->pass_began_s <= now_s()) state_ = *kept;
    begun_ = true;
    earned_at_ = clock_.now();
    saved_at_ = clock_.now();
    cache_.when_loaded([this, alive = std::weak_ptr(alive_)] {
        if (!alive.expired()) step();
    });
}

std::int64_t Scrubber::now_s() const {
    return std::chrono::duration_cast<std::chrono::seconds>(clock_.wall_now().time_since_epoch())
        .count();
}

void Scrubber::step_after(Duration delay) {
    timer_.start_after(
        std::clamp<Duration>(delay, std::chrono::milliseconds(1), options_.longest_pause),
        [this] { step(); });
}

/// What may be read grows with time, up to one large chunk: what was missed is not read in a rush.
void Scrubber::earn() {
    const TimePoint now = clock_.now();
    const std::chrono::duration<double> spent = now - earned_at_;
    earned_at_ = now;
    const double rate = scrub_rate(state_, cache_.stats().size_bytes, now_s(), options_);
    credit_bytes_ = std::min(credit_bytes_ + spent.count() * rate, double{kMaxChunkBytes});
}

void Scrubber::step() {
    if (closed_) return;
    const auto interval_s =
        std::chrono::duration_cast<std::chrono::seconds>(options_.interval).count();
    if (state_.pass_ended_s >= state_.pass_began_s || state_.pass_began_s == 0) {
        if (state_.pass_began_s != 0 && now_s() - state_.pass_began_s < interval_s) {
            return step_after(options_.longest_pause);
        }
        begin_pass();
    }
    earn();
    const auto next = cache_.list(state_.position, 1);
    if (next.empty()) return end_pass();
    const auto size_bytes = static_cast<double>(next[0].size_bytes);
    if (credit_bytes_ < size_bytes) {
        const double rate = scrub_rate(state_, cache_.stats().size_bytes, now_s(), options_);
        const double wait_s = rate > 0 ? (size_bytes - credit_bytes_) / rate : 1e9;
        const auto longest = std::chrono::duration<double>(options_.longest_pause);
        return step_after(std::chrono::duration_cast<Duration>(
            std::min(std::chrono::duration<double>(wait_s), longest)));
    }
    if (!std::exchange(put_off_, true)) put_off_since_ = clock_.now();
    if (jobs_.queued() > 0 && clock_.now() - put_off_since_ < kPatience) return step_after(kPutOff);
    put_off_ = false;
    check(next[0]);
}

void Scrubber::begin_pass() {
    state_.position = ChunkId();
    // A second apart at least, so that which of the two was later is plain.
    state_.pass_began_s = std::max(now_s(), state_.pass_ended_s + 1);
    credit_bytes_ = 0;
    earned_at_ = clock_.now();
    kLog.info("event=scrub-began chunks={}", cache_.stats().chunks);
}

void Scrubber::end_pass() {
    ++state_.passes;
    state_.pass_ended_s = std::max(now_s(), state_.pass_began_s);
    kLog.info("event=scrub-ended passes={} checked={} damaged={}", state_.passes, state_.checked,
              state_.damaged);
    save(nullptr);
    step_after(options_.longest_pause);
}

void Scrubber::check(const CacheEntry& entry) {
    credit_bytes_ -= static_cast<double>(entry.size_bytes);
    cache_.verify(entry.id, [this, alive = std::weak_ptr(alive_), entry](const Status& status) {
        if (!alive.expired()) on_checked(entry, status);
    });
}

void Scrubber::on_checked(const CacheEntry& entry, const Status& status) {
    if (!status && status.error().code == ErrorCode::kLimit) return step_after(kPutOff);
    state_.position = entry.id;
    if (status || status.error().code == ErrorCode::kCorrupt) {
        ++state_.checked;
        state_.checked_bytes += entry.size_bytes;
    }
    if (!status && status.error().code == ErrorCode::kCorrupt) {
        ++state_.damaged;
        on_damaged_(entry.id);
    }
    if (clock_.now() - saved_at_ >= options_.save_interval) save(nullptr);
    step_after(Duration::zero());
}

void Scrubber::save(std::function<void()> on_done) {
    saved_at_ = clock_.now();
    if (saving_) {
        if (on_done) loop_.post(std::move(on_done));
        return;
    }
    saving_ = true;
    jobs_.run(
        loop_,
        [&fs = fs_, folder = options_.folder, text = format_scrub_state(state_)] {
            return write_snapshot(fs, folder / kTemporaryFolder / kScrubStateName,
                                  folder / kScrubStateName, as_bytes(text));
        },
        [this, alive = std::weak_ptr(alive_), on_done = std::move(on_done)](const Status& status) {
            if (alive.expired()) return;
            saving_ = false;
            if (!status) kLog.warn("event=state-not-saved error=\"{}\"", status.error().detail);
            if (on_done) on_done();
        });
}

void Scrubber::close(std::function<void()> on_done) {
    closed_ = true;
    timer_.cancel();
    if (!begun_ || state_.pass_began_s == 0) return loop_.post(std::move(on_done));
    save(std::move(on_done));
}

ScrubStats Scrubber::stats() const {
    ScrubStats stats;
    stats.enabled = options_.interval != Duration::zero();
    stats.state = state_;
    stats.between_passes = state_.pass_began_s != 0 && state_.pass_ended_s >= state_.pass_began_s;
    stats.share_done = stats.between_passes ? 1 : share_up_to(state_.position);
    if (stats.enabled && begun_ && !stats.between_passes && state_.pass_began_s != 0) {
        stats.bytes_per_second = scrub_rate(state_, cache_.stats().size_bytes, now_s(), options_);
    }
    return stats;
}

}  // namespace kollator::cache
