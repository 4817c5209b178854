#include "store/s3/egress_meter.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <mutex>

#include "base/check.h"
#include "base/log.h"

namespace kollator::store::s3 {
namespace {

const log::Logger kLog("s3");

constexpr std::size_t kMaxFileBytes = 256;
/// What a crash may leave uncounted.
constexpr auto kSaveInterval = std::chrono::seconds(10);
constexpr double kWarnShare = 0.8;

double gigabytes(std::uint64_t bytes) {
    return static_cast<double>(bytes) / 1e9;
}

bool is_month(std::string_view text) {
    if (text.size() != 7 || text[4] != '-') return false;
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return (c >= '0' && c <= '9') || c == '-'; });
}

}  // namespace

std::string month_of(WallTime time) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
    std::tm utc{};
    KOLLATOR_CHECK(::gmtime_r(&seconds, &utc) != nullptr);
    return fmt::format("{:04}-{:02}", utc.tm_year + 1900, utc.tm_mon + 1);
}

std::string format_egress(const EgressRecord& record) {
    return fmt::format("{} {}\n", record.month, record.bytes);
}

std::optional<EgressRecord> parse_egress(std::string_view text) {
    if (text.size() < 10 || !is_month(text.substr(0, 7)) || text[7] != ' ' || text.back() != '\n') {
        return std::nullopt;
    }
    EgressRecord record{std::string(text.substr(0, 7)), 0};
    const char* const end = text.data() + text.size() - 1;
    const auto [stop, error] = std::from_chars(text.data() + 8, end, record.bytes);
    if (error != std::errc() || stop != end) return std::nullopt;
    return record;
}

Duration RateLimit::wait(TimePoint now) {
    const double seconds = std::chrono::duration<double>(now - refilled_).count();
    allowance_ = std::min(rate_, allowance_ + seconds * rate_);
    refilled_ = now;
    if (allowance_ >= 0) return Duration::zero();
    return std::chrono::duration_cast<Duration>(
               std::chrono::duration<double>(-allowance_ / rate_)) +
           std::chrono::milliseconds(1);
}

/// Writes records one after the other, and never an older one over a newer: the last is written by
/// the meter's end, while a job may still be on its way.
class EgressMeter::Keeper {
 public:
    Keeper(FileSystem* files, std::filesystem::path path) : files_(files), path_(std::move(path)) {}

    Status write(const EgressRecord& record, std::uint64_t serial) {
        const std::lock_guard lock(mutex_);
        if (serial < written_) return {};
        written_ = serial;
        return write_file_durably(*files_, path_, as_bytes(format_egress(record)));
    }
    std::uint64_t next_serial() { return ++last_; }  // the loop's thread only

 private:
    FileSystem* const files_;
    const std::filesystem::path path_;
    std::uint64_t last_ = 0;
    std::mutex mutex_;
    std::uint64_t written_ = 0;  // GUARDED_BY(mutex_)
};

EgressMeter::EgressMeter(EventLoop& loop, const Clock& clock, const S3Options& options)
    : loop_(loop),
      clock_(clock),
      options_(options),
      keeper_(options.egress_file.empty()
                  ? nullptr
                  : std::make_shared<Keeper>(options.files, options.egress_file)),
      record_{month_of(clock.wall_now()), 0},
      save_timer_(loop) {
    if (!keeper_) return;
    const auto bytes = read_file(*options_.files, options_.egress_file, kMaxFileBytes);
    if (!bytes && bytes.error().code == ErrorCode::kNotFound) return;
    const auto kept = bytes ? parse_egress(as_text(*bytes)) : std::nullopt;
    if (kept) {
        record_ = *kept;
    } else {
        kLog.warn("egress_file={} unusable: this month's egress is counted from zero",
                  options_.egress_file.string());
    }
    roll_over();
}

EgressMeter::~EgressMeter() {
    if (!keeper_ || !changed_) return;
    const auto status = keeper_->write(record_, keeper_->next_serial());
    if (!status) kLog.warn("egress not written: {}", status.error().detail);
}

/// A month that lies ahead stays: this machine's clock is behind, and no budget begins anew for it.
void EgressMeter::roll_over() {
    const std::string month = month_of(clock_.wall_now());
    if (month <= record_.month) return;
    record_ = {month, 0};
    changed_ = true;
    rate_.reset();
}

void EgressMeter::note_total(std::uint64_t total_bytes) {
    if (total_bytes == total_bytes_) return;
    roll_over();
    record_.bytes += total_bytes - total_bytes_;
    total_bytes_ = total_bytes;
    changed_ = true;
    if (keeper_ && !save_timer_.active()) {
        save_timer_.start_after(kSaveInterval, [this] { save(); });
    }
}

void EgressMeter::save() {
    changed_ = false;
    options_.jobs->run(
        loop_,
        [keeper = keeper_, record = record_, serial = keeper_->next_serial()] {
            return keeper->write(record, serial);
        },
        [this, alive = std::weak_ptr(alive_)](const Status& status) {
            if (alive.expired()) return;
            if (!status && problem_.empty()) {
                kLog.warn("egress not written: {}", status.error().detail);
            }
            problem_ = status ? "" : status.error().detail;
            if (!status) changed_ = true;
        });
}

bool EgressMeter::limits() const {
    return options_.egress_budget_bytes > 0 && record_.bytes >= options_.egress_budget_bytes &&
           month_of(clock_.wall_now()) <= record_.month;
}

Duration EgressMeter::try_take(std::uint64_t bytes) {
    if (!rate_) rate_.emplace(options_.egress_limited_bytes_per_second, clock_.now());
    const Duration wait = rate_->wait(clock_.now());
    if (wait == Duration::zero()) rate_->take(bytes);
    return wait;
}

void EgressMeter::give_back(std::uint64_t bytes) {
    if (rate_) rate_->give_back(bytes);
}

std::optional<EgressStats> EgressMeter::stats() const {
    if (!keeper_ && options_.egress_budget_bytes == 0) return std::nullopt;
    const std::string month = month_of(clock_.wall_now());
    if (month > record_.month) return EgressStats{month, 0, options_.egress_budget_bytes, false};
    return EgressStats{record_.month, record_.bytes, options_.egress_budget_bytes, limits()};
}

std::optional<StoreCheck> EgressMeter::check() const {
    const auto stats = this->stats();
    if (!stats || stats->budget_bytes == 0) return std::nullopt;
    const double share =
        static_cast<double>(stats->used_bytes) / static_cast<double>(stats->budget_bytes);
    std::string detail =
        fmt::format("{:.1f} of {:.0f} GB in {} ({:.0f} %)", gigabytes(stats->used_bytes),
                    gigabytes(stats->budget_bytes), stats->month, share * 100);
    if (stats->limited) {
        detail += fmt::format(": misses are slowed to {} kB/s until the month ends",
                              options_.egress_limited_bytes_per_second / 1000);
    }
    if (!problem_.empty()) detail += "; not written down: " + problem_;
    return StoreCheck{"egress", share >= kWarnShare || !problem_.empty(), std::move(detail)};
}

}  // namespace kollator::store::s3
