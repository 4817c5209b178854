// For tests/integration/debug.test.mjs: reads pairs of lines, a DEBUG filter (its bytes in hex) and
// a namespace, and prints for each "1" where the one names the other, else "0".

#include <iostream>
#include <string>

#include "base/bytes.h"
#include "base/log.h"

int main() {
    std::string filter;
    std::string name_space;
    while (std::getline(std::cin, filter) && std::getline(std::cin, name_space)) {
        const auto bytes = kollator::from_hex(filter);
        if (!bytes) return 1;
        std::cout << kollator::log::filter_matches(kollator::as_text(*bytes), name_space) << '\n';
    }
    return 0;
}
