// Runs a fuzz target over the files of the folders named as arguments, and over the beginnings of
// each: libFuzzer's main() without libFuzzer. A crash, or a sanitizer's word, is the failure.

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

/// Beginnings of larger inputs are tried in steps, so that a replay stays under a second or so.
constexpr std::size_t kMaxBeginnings = 4096;

void replay(const std::vector<std::uint8_t>& input) {
    const std::size_t step = 1 + input.size() / kMaxBeginnings;
    for (std::size_t size = 0; size < input.size(); size += step) {
        // A copy of the exact size, so that reading past the end is seen.
        const std::vector<std::uint8_t> beginning(
            input.begin(), input.begin() + static_cast<std::ptrdiff_t>(size));
        LLVMFuzzerTestOneInput(beginning.data(), beginning.size());
    }
    LLVMFuzzerTestOneInput(input.data(), input.size());
}

}  // namespace

int main(int argc, char** argv) {
    int files = 0;
    for (int i = 1; i < argc; ++i) {
        std::error_code error;
        for (const auto& entry : std::filesystem::directory_iterator(argv[i], error)) {
            std::ifstream stream(entry.path(), std::ios::binary);
            replay({std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()});
            ++files;
        }
    }
    if (files == 0) {
        std::fprintf(stderr, "no input: give folders with files to replay\n");
        return 1;
    }
    std::printf("%d inputs and their beginnings replayed\n", files);
    return 0;
}
