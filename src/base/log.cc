#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <string>
#include <vector>

namespace kollator::log {
namespace {

std::vector<Logger*>& all_loggers() {
    static std::vector<Logger*> loggers;
    return loggers;
}

spdlog::logger& output() {
    static const std::shared_ptr<spdlog::logger> logger = [] {
        auto made = std::make_shared<spdlog::logger>(
            "kollator", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
        made->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %^%l%$ %v", spdlog::pattern_time_type::utc);
        made->set_level(spdlog::level::trace);
        return made;
    }();
    return *logger;
}

spdlog::level::level_enum to_spdlog(Level level) {
    switch (level) {
        case Level::kTrace:
            return spdlog::level::trace;
        case Level::kDebug:
            return spdlog::level::debug;
        case Level::kInfo:
            return spdlog::level::info;
        case Level::kWarn:
            return spdlog::level::warn;
        case Level::kError:
            return spdlog::level::err;
        case Level::kOff:
            break;
    }
    return spdlog::level::off;
}

/// `*` stands for any run of characters, none included. Linear but for the last star, to which it
/// goes back: a pattern of many stars costs no more than pattern times text.
bool glob_matches(std::string_view pattern, std::string_view text) {
    std::size_t at_pattern = 0;
    std::size_t at_text = 0;
    std::size_t star = std::string_view::npos;
    std::size_t star_text = 0;
    while (at_text < text.size()) {
        if (at_pattern < pattern.size() && pattern[at_pattern] == '*') {
            star = at_pattern++;
            star_text = at_text;
        } else if (at_pattern < pattern.size() && pattern[at_pattern] == text[at_text]) {
            ++at_pattern;
            ++at_text;
        } else if (star != std::string_view::npos) {
            at_pattern = star + 1;
            at_text = ++star_text;
        } else {
            return false;
        }
    }
    return pattern.find_first_not_of('*', at_pattern) == std::string_view::npos;
}

}  // namespace

Logger::Logger(const char* name) : name_(name) {
    all_loggers().push_back(this);
}

void Logger::emit(Level level, std::string_view message) const {
    output().log(to_spdlog(level), "{}: {}", name_, message);
}

bool filter_matches(std::string_view filter, std::string_view name_space) {
    bool included = false;
    bool excluded = false;
    std::size_t begin = 0;
    while (begin < filter.size()) {
        std::size_t end = filter.find_first_of(", \t\n\v\f\r", begin);
        if (end == std::string_view::npos) end = filter.size();
        std::string_view pattern = filter.substr(begin, end - begin);
        begin = end + 1;
        if (pattern.empty()) continue;
        if (pattern.front() == '-') {
            excluded = excluded || glob_matches(pattern.substr(1), name_space);
        } else {
            included = included || glob_matches(pattern, name_space);
        }
    }
    return included && !excluded;
}

void configure(Level level, std::string_view debug_filter) {
    for (Logger* logger : all_loggers()) {
        const bool chosen = filter_matches(debug_filter, "kollator:" + std::string(logger->name_));
        logger->level_ = chosen ? Level::kTrace : level;
    }
}

}  // namespace kollator::log
