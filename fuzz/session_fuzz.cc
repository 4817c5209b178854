// A peer that sends whatever it likes, on three channels, over transports that have room or not, to
// a service that answers now or later. Whatever it does: every message sent is a well-formed
// answer, and once everything is answered nothing is left active.
//
// Input: steps of one byte. The low 4 bits choose what happens, the high 4 bits are its argument;
// messages take a length byte and their bytes from the input.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "base/log.h"
#include "protocol/any_body.h"
#include "session/session.h"
#include "session/session_fakes.h"

using namespace kollator;
using namespace kollator::session;

namespace {

constexpr std::size_t kChannels = 3;
constexpr std::size_t kMaxSteps = 400;

void require(bool condition) {
    if (!condition) std::abort();
}

struct World {
    World() {
        limits.fragment_data_bytes = 100;
        limits.max_active_requests = 8;
        limits.max_upload_bytes = 10'000;
        limits.max_refused_uploads = 4;
        limits.max_answer_bytes = 4000;
        limits.max_refusal_bytes = 2000;
        limits.max_malformed = 1000;  // else most inputs would end early
        limits.max_fragments_per_turn = 3;
        chunks.max_bytes = 8000;
        chunks.put(Bytes(1000, 'a'));
        // Names that a fuzzer finds: all zeros, and all ones.
        chunks.put_as({}, Bytes(350, 'b'));
        std::array<std::uint8_t, 32> ones{};
        ones.fill(1);
        chunks.put_as(ones, Bytes(1, 'c'));
        context = std::make_unique<SessionContext>(SessionServices{
            chunks, loop, clock, metrics, limits, "worker", "fuzz", {}, [] { return "{}"; }});
        session = make_session(*context, {"fuzz", [this](const std::string&) { closed = true; }});
        for (std::size_t i = 0; i < kChannels; ++i) {
            links[i].ordered = i != 1;
            links[i].max_message_bytes = i == 2 ? kMinMessageBytes : 262'144;
            handles[i] = *session->add_channel(std::make_unique<FakeTransport>(links[i]));
        }
    }
    ~World() { session.reset(); }

    void settle() {
        for (int round = 0; round < 3; ++round) {
            bool done = false;
            loop.post([&] { done = true; });
            loop.run_until([&] { return done; }, std::chrono::seconds(10));
        }
    }
    void check_sent() {
        for (FakeLink& link : links) {
            for (const Bytes& bytes : link.sent) {
                const auto message = protocol::decode_message(bytes);
                require(message.ok());
                require(message->header.flags.has(protocol::Flag::kResponse));
                require(protocol::decode_body(*message).ok());
            }
            link.sent.clear();
        }
    }

    EventLoop loop;
    ManualClock clock;
    MetricsRegistry metrics;
    SessionLimits limits;
    FakeChunkService chunks{loop};
    FakeLink links[kChannels];
    ChannelHandle handles[kChannels]{};
    std::unique_ptr<SessionContext> context;
    std::unique_ptr<Session> session;
    bool closed = false;
};

/// A well-formed store or request, so that the fuzzer need not find 46 bytes of it.
Bytes ready_made(std::uint8_t choice, ByteReader& input) {
    const auto pick = input.u8();
    const protocol::RequestId id{static_cast<std::uint32_t>(pick & 3)};
    ChunkId name;
    if ((pick & 4) != 0) name = FakeChunkService::name_of<ChunkId>(Bytes(1000, 'a'));
    const Bytes data((pick >> 3) * 20U + 1U, 'a');
    const std::uint32_t offset = input.u8() * 4U;
    const protocol::Flags more =
        (pick & 0x80) != 0 ? protocol::Flags(protocol::Flag::kMore) : protocol::Flags();
    switch (choice % 4) {
        case 0:
            return protocol::encode_message({protocol::MessageType::kChunkRequest, {}, id},
                                            protocol::ChunkRequest{name, offset, pick});
        case 1:
            return protocol::encode_message({protocol::MessageType::kChunkStore, more, id},
                                            protocol::ChunkStore{name, 1000, offset, data});
        case 2:
            return protocol::encode_message({protocol::MessageType::kChunkStat, {}, id},
                                            protocol::StatRequest{{name, ChunkId()}});
        default:
            return protocol::encode_message(
                {protocol::MessageType::kChunkList, {}, id},
                protocol::ListRequest{name, pick, static_cast<protocol::ListScope>(pick & 1)});
    }
}

void step(World& world, ByteReader& input) {
    const std::uint8_t what = input.u8();
    const std::uint8_t argument = what >> 4;
    const std::size_t i = argument % kChannels;
    switch (what & 0x0F) {
        case 0:
            world.links[i].room_bytes = argument * 64U;
            world.session->on_writable(world.handles[i]);
            break;
        case 1:
            world.links[i].room_bytes = SIZE_MAX;
            world.session->on_writable(world.handles[i]);
            break;
        case 2:
            if (argument == 15) world.session->on_close(world.handles[0]);
            break;
        case 3:
            world.clock.advance(std::chrono::seconds(argument * 2));
            world.context->sweep();
            break;
        case 4:
            world.chunks.hold_reads = (argument & 1) != 0;
            world.chunks.hold_answers = (argument & 2) != 0;
            world.chunks.fail_middle.reset();
            if ((argument & 4) != 0) world.chunks.fail_middle = Error{ErrorCode::kTimeout, ""};
            break;
        case 5:
            world.chunks.release_reads();
            world.chunks.release_answers();
            break;
        case 6:
            world.settle();
            break;
        case 7:
        case 8:
        case 9:
        case 10:
            world.session->on_message(world.handles[i], ready_made(what & 3, input), true);
            break;
        default: {
            const std::size_t wanted = input.u8();
            const ByteSpan bytes = input.bytes(std::min(wanted, input.remaining()));
            world.session->on_message(world.handles[i], Bytes(bytes.begin(), bytes.end()),
                                      what != 0xFF);
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const bool quiet = (log::configure(log::Level::kOff, ""), true);
    static_cast<void>(quiet);
    ByteReader input(ByteSpan(data, size));
    World world;
    for (std::size_t i = 0; i < kMaxSteps && input.remaining() > 0; ++i) step(world, input);
    world.check_sent();
    if (size % 2 == 1) return 0;  // ends in the middle of whatever is pending

    world.chunks.release_reads();
    world.chunks.release_answers();
    for (std::size_t i = 0; i < kChannels; ++i) {
        world.links[i].room_bytes = SIZE_MAX;
        world.session->on_writable(world.handles[i]);
    }
    world.clock.advance(std::chrono::minutes(2));
    world.context->sweep();
    for (int i = 0; i < 100 && world.session->info().active_requests > 0; ++i) world.settle();
    world.check_sent();
    world.settle();
    if (!world.closed) {
        require(world.session->info().active_requests == 0);
        require(world.session->info().upload_bytes == 0);
        require(world.chunks.readers_open == 0);
    }
    return 0;
}
