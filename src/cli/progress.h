#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

#include "base/time.h"
#include "cli/transfer.h"

namespace kollator::cli {

/// "holiday.mp4  45% [#########...........] 45.0/100.0 MB  12.3 MB/s  4 s left": at most `columns`
/// wide, without control characters.
std::string progress_line(const std::string& name, const TransferProgress& progress,
                          double bytes_per_second, std::size_t columns);

/// One line that is written over and over on a terminal, ten times a second at most; nothing where
/// `stream` is none, so that logs and pipes stay clean.
class ProgressBar {
 public:
    ProgressBar(std::FILE* stream, bool wanted);

    void begin(const std::string& name, TimePoint now);
    void update(const TransferProgress& progress, TimePoint now);
    /// Takes the line away.
    void clear();

 private:
    std::FILE* const stream_;
    const bool shown_;
    std::string name_;
    TimePoint began_{};
    TimePoint drawn_{};
    bool on_screen_ = false;
};

}  // namespace kollator::cli
