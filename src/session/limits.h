#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace kollator::session {

/// What one connection may use. Bytes unless the name says otherwise.
struct SessionLimits {
    /// Data in one fragment of an answer; less where the peer takes smaller messages. 64 KiB: a
    /// multiple of a disk's block, and little enough that 128 requests take turns quickly.
    std::uint32_t fragment_data_bytes = 64 * 1024;
    /// The first one of an answer is shorter, so that it is there before what follows keeps the
    /// peer busy. All others end at multiples of fragment_data_bytes in the blob.
    std::uint32_t first_fragment_data_bytes = 16 * 1024;
    /// protocol.md 2.2: "at least 64 requests in flight on a connection". Over it: BUSY.
    std::size_t max_active_requests = 128;
    /// Of a fellow worker, which asks for all of its clients.
    std::size_t max_fellow_requests = 1024;
    std::size_t max_channels = 16;

    /// Totals of the uploads that are not yet stored: six chunks of 5 MiB and some metadata. The
    /// bytes of all connections together are bounded by ChunkService::allocate().
    std::size_t max_upload_bytes = 32 * 1024 * 1024;
    /// Without a fragment for so long, an upload ends with BUSY.
    Duration upload_timeout = std::chrono::seconds(60);
    /// However slowly it goes on, an upload ends with BUSY after so long, so that nobody holds a
    /// buffer with a byte a minute. 5 MiB in 15 min are 5.8 KB/s.
    Duration upload_deadline = std::chrono::minutes(15);
    /// How long, and of how many uploads at once, fragments that come after a refusal are ignored.
    Duration refused_upload_memory = std::chrono::seconds(30);
    std::size_t max_refused_uploads = 256;

    /// Answers other than fragments, from the request's admission until they are handed to the
    /// transport: 27 lists of 1,000 names. Over it: BUSY.
    std::size_t max_answer_bytes = 1024 * 1024;
    /// Refusals that the transport has no room for. Over it the peer asks and does not read: the
    /// connection is closed. About 1,000 refusals.
    std::size_t max_refusal_bytes = 64 * 1024;

    /// Names in one answer to CHUNK_LIST, whatever the limit asked for.
    std::size_t max_list_entries = 4096;

    /// Names that a client may have announced (DHT_ANNOUNCE) at once, and a second after that; a
    /// message has room for 8,191.
    std::size_t announce_burst = 8192;
    double announces_per_second = 50;
    /// Look-ups (DHT_LOOKUP): each costs others some 20 packets.
    double lookup_burst = 50;
    double lookups_per_second = 10;
    std::size_t max_lookup_peers = 256;

    /// protocol.md 2.4: a malformed message ends the connection "only when it repeats (more than 16
    /// in 10 s)".
    std::size_t max_malformed = 16;
    Duration malformed_window = std::chrono::seconds(10);

    /// The advice that goes with BUSY and UNAVAILABLE.
    std::chrono::milliseconds retry_after = std::chrono::milliseconds(1000);

    /// Fragments handed to the transports before others on the loop have their turn: 4 MiB.
    std::size_t max_fragments_per_turn = 64;
    /// Of these, how many may be compressed: 256 KiB, 1 to 2 ms of the loop's time.
    std::size_t max_packs_per_turn = 4;
};

/// The smallest message size a peer may announce: room for a fragment of some use and for every
/// error. RFC 8841 lets it be anything, but a browser's is 64 KiB at least.
inline constexpr std::size_t kMinMessageBytes = 1024;
/// The words of an error are cut to this.
inline constexpr std::size_t kMaxErrorTextBytes = 256;

}  // namespace kollator::session
