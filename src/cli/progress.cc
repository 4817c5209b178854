#include "cli/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

namespace kollator::cli {
namespace {

constexpr Duration kRedrawEvery = std::chrono::milliseconds(100);
constexpr std::size_t kBarCells = 20;
constexpr std::size_t kMaxNameColumns = 30;
constexpr std::size_t kDefaultColumns = 80;

std::size_t columns_of(std::FILE* stream) {
    winsize size{};
    if (::ioctl(::fileno(stream), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
        return kDefaultColumns;
    }
    return size.ws_col;
}

}  // namespace

std::string progress_line(const std::string& name, const TransferProgress& progress,
                          double bytes_per_second, std::size_t columns) {
    std::string shown = name.substr(0, kMaxNameColumns);
    std::replace_if(
        shown.begin(), shown.end(), [](unsigned char c) { return c < 0x20 || c >= 0x7f; }, '?');
    const double share = progress.total == 0 ? 1.0
                                             : static_cast<double>(progress.done) /
                                                   static_cast<double>(progress.total);
    const auto cells = std::min(kBarCells, static_cast<std::size_t>(share * kBarCells));
    std::string line = fmt::format(
        "{}  {:3.0f}% [{}{}] {:.1f}/{:.1f} MB", shown, std::min(1.0, share) * 100,
        std::string(cells, '#'), std::string(kBarCells - cells, '.'),
        static_cast<double>(progress.done) / 1e6, static_cast<double>(progress.total) / 1e6);
    if (bytes_per_second > 0 && progress.done < progress.total) {
        const double left = static_cast<double>(progress.total - progress.done);
        line += fmt::format("  {:.1f} MB/s  {:.0f} s left", bytes_per_second / 1e6,
                            left / bytes_per_second);
    }
    return line.substr(0, columns);
}

ProgressBar::ProgressBar(std::FILE* stream, bool wanted)
    : stream_(stream), shown_(wanted && ::isatty(::fileno(stream)) == 1) {}

void ProgressBar::begin(const std::string& name, TimePoint now) {
    name_ = name;
    began_ = now;
    drawn_ = {};
}

void ProgressBar::update(const TransferProgress& progress, TimePoint now) {
    if (!shown_ || now - drawn_ < kRedrawEvery) return;
    drawn_ = now;
    const double seconds = std::chrono::duration<double>(now - began_).count();
    const auto moved =
        static_cast<double>(progress.done - std::min(progress.done, progress.skipped));
    const double rate = seconds > 0.5 ? moved / seconds : 0;
    const std::size_t columns = columns_of(stream_);
    // Back to the line's begin, and away with what is longer.
    std::fprintf(stream_, "\r%s\x1b[K", progress_line(name_, progress, rate, columns - 1).c_str());
    std::fflush(stream_);
    on_screen_ = true;
}

void ProgressBar::clear() {
    if (!on_screen_) return;
    std::fputs("\r\x1b[K", stream_);
    std::fflush(stream_);
    on_screen_ = false;
}

}  // namespace kollator::cli
