#include "http/status_page.h"

#include <fmt/format.h>

namespace kollator::http {
namespace {

constexpr const char* kHead = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>Kollator worker</title><style>
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}
body{max-width:42rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem}h2{font-size:1.05rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.3rem .5rem;border-bottom:1px solid #8884;vertical-align:top}
td{font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.ok{color:#1a7f37}.warn{color:#9a6700}.error{color:#cf222e}
</style></head><body>
)";

std::string row(std::string_view name, const std::string& value) {
    return fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", name, escape_html(value));
}

std::string duration_text(std::uint64_t seconds) {
    return fmt::format("{} d {:02}:{:02}:{:02}", seconds / 86400, seconds / 3600 % 24,
                       seconds / 60 % 60, seconds % 60);
}

std::string percent(std::uint64_t part, std::uint64_t whole) {
    if (whole == 0) return "–";
    return fmt::format("{:.1f} %", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

}  // namespace

std::string escape_html(std::string_view text) {
    std::string escaped;
    escaped.reserve(text.size());
    for (const char c : text) {
        switch (c) {
            case '&':
                escaped += "&amp;";
                break;
            case '<':
                escaped += "&lt;";
                break;
            case '>':
                escaped += "&gt;";
                break;
            case '"':
                escaped += "&quot;";
                break;
            case '\'':
                escaped += "&#39;";
                break;
            default:
                escaped += c;
        }
    }
    return escaped;
}

std::string status_page(const HealthReport& health, const WorkerStats& stats) {
    std::string page = kHead;
    page += fmt::format("<h1>Kollator worker {}: <span class=\"{}\">{}</span></h1>\n",
                        escape_html(health.worker_id), name_of(health.status()),
                        name_of(health.status()));
    page += "<h2>Checks</h2><table>\n";
    for (const HealthCheck& check : health.checks) {
        page +=
            fmt::format("<tr><th scope=\"row\">{}</th><td class=\"{}\">{}</td><td>{}</td></tr>\n",
                        escape_html(check.name), name_of(check.status), name_of(check.status),
                        escape_html(check.detail));
    }
    const auto& cache = stats.cache;
    page += "</table><h2>Now</h2><table>\n";
    page += row("Version", health.version);
    page += row("Up for", duration_text(stats.uptime_s));
    page += row("Connections", fmt::format("{} now, {} in all", stats.connections.active,
                                           stats.connections.total));
    page += row("Cache", fmt::format("{} of {}, {} chunks", human_size(cache.size_bytes),
                                     human_size(cache.max_bytes), cache.chunks));
    page += row("Cache hits", percent(cache.rates.hits, cache.rates.hits + cache.rates.misses));
    page += row("Object store",
                fmt::format("{} requests, {} errors, {} chunks uploaded", stats.storage.requests,
                            stats.storage.errors, stats.storage.uploaded_chunks));
    if (stats.backlog.max_bytes > 0) {
        page +=
            row("Write backlog", fmt::format("{} of {}, {} objects, the oldest {} s old",
                                             human_size(stats.backlog.size_bytes),
                                             human_size(stats.backlog.max_bytes),
                                             stats.backlog.objects, stats.backlog.oldest_age_s));
    }
    page +=
        "</table><p><a href=\"/health\">health</a> · <a href=\"/stats\">stats</a> · "
        "<a href=\"/chunks\">chunks</a> · <a href=\"/metrics\">metrics</a></p></body></html>\n";
    return page;
}

}  // namespace kollator::http
