#pragma once

#include <fmt/core.h>

#include <atomic>
#include <string_view>
#include <utility>

namespace kollator::log {

/// error: the operator must act; warn: degraded; info: lifecycle; debug: a request; trace: a
/// packet.
enum class Level : int { kTrace, kDebug, kInfo, kWarn, kError, kOff };

/// A layer's voice. One static object a layer: `const log::Logger kLog("rtc");`. Messages are
/// key=value pairs, hold no secret and no payload. Thread-safe.
class Logger {
 public:
    /// `name` is the layer's tag and its DEBUG namespace (kollator:<name>); it must be a literal.
    explicit Logger(const char* name);
    Logger(const Logger&) = delete;
    Logger& operator=(const Logger&) = delete;

    bool enabled(Level level) const { return level >= level_.load(std::memory_order_relaxed); }

    template <typename... Args>
    void trace(fmt::format_string<Args...> text, Args&&... args) const {
        write(Level::kTrace, text, std::forward<Args>(args)...);
    }
    template <typename... Args>
    void debug(fmt::format_string<Args...> text, Args&&... args) const {
        write(Level::kDebug, text, std::forward<Args>(args)...);
    }
    template <typename... Args>
    void info(fmt::format_string<Args...> text, Args&&... args) const {
        write(Level::kInfo, text, std::forward<Args>(args)...);
    }
    template <typename... Args>
    void warn(fmt::format_string<Args...> text, Args&&... args) const {
        write(Level::kWarn, text, std::forward<Args>(args)...);
    }
    template <typename... Args>
    void error(fmt::format_string<Args...> text, Args&&... args) const {
        write(Level::kError, text, std::forward<Args>(args)...);
    }

    const char* name() const { return name_; }

 private:
    friend void configure(Level level, std::string_view debug_filter);

    template <typename... Args>
    void write(Level level, fmt::format_string<Args...> text, Args&&... args) const {
        if (enabled(level)) emit(level, fmt::format(text, std::forward<Args>(args)...));
    }
    void emit(Level level, std::string_view message) const;

    const char* const name_;
    std::atomic<Level> level_{Level::kInfo};
};

/// Sets the level of every logger: `level`, or kTrace for those whose namespace `debug_filter`
/// names ("kollator:*,-kollator:rtc": separated by commas or spaces, `*` stands for any run, a
/// leading `-` excludes). Call before threads start.
void configure(Level level, std::string_view debug_filter);

/// True where `filter`, as above, names `name_space`: as the npm package `debug` (4.4.3) has it,
/// for ASCII. An exclusion wins wherever it stands.
bool filter_matches(std::string_view filter, std::string_view name_space);

}  // namespace kollator::log
