#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/random.h"
#include "rtc/turn/stream_framer.h"
#include "rtc/turn/turn_client.h"

// A TURN server that says anything: the first byte tells where its stream is cut.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace kollator;
    if (size == 0) return 0;
    SeededRandom random(1);
    rtc::TurnOptions options;
    options.credentials = [] { return rtc::TurnCredentials{"user", "password"}; };
    rtc::TurnClient client(options, random);
    TimePoint now{std::chrono::seconds(1)};
    client.start(now);
    rtc::StreamFramer framer;
    const std::size_t cut = std::min<std::size_t>(data[0] + 1, size);
    for (const ByteSpan part : {ByteSpan{data + 1, cut - 1}, ByteSpan{data + cut, size - cut}}) {
        framer.push(part);
        for (auto next = framer.next(); next.ok() && *next; next = framer.next()) {
            (void)client.handle_message(now, **next);
        }
        now += std::chrono::seconds(60);
        client.handle_timeout(now);
        while (client.poll_output()) {
        }
    }
    return 0;
}
