// Any bytes as a request target. What is accepted is a path without climbing or control characters.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "base/bytes.h"
#include "http/router.h"
#include "http/target.h"

using namespace kollator;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const http::Router router = [] {
        http::Router made;
        for (const char* pattern : {"/", "/rtc/{session}", "/{a}/b/{c}"}) {
            http::Route route;
            route.method = "GET";
            route.handler = [](const http::Request&, const http::Responder&) {};
            made.add(std::move(route), pattern);
        }
        return made;
    }();
    const auto target = http::parse_target(as_text({data, size}));
    if (!target.ok()) {
        if (target.error().detail.empty()) std::abort();
        return 0;
    }
    const std::string& path = target->path;
    if (path != "*" && !path.starts_with('/')) std::abort();
    if (path.find("/../") != std::string::npos || path.find('\0') != std::string::npos)
        std::abort();
    for (const auto& [name, value] : router.match("GET", path).params) {
        if (value.empty() || value.find('/') != std::string::npos) std::abort();
    }
    return 0;
}
