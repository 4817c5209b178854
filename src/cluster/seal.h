#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/bytes.h"
#include "base/result.h"
#include "cluster/auth.h"
#include "protocol/message.h"

namespace kollator::rtc {
class RecordCipher;
}

namespace kollator::cluster {

// A sealed body (docs/protocol.md, section 5): AES-256-GCM under the key of its direction. The
// nonce is 4 zero bytes and the counter; the additional data are the message's 6 header bytes.
//
//     +-------------+------------+---------+
//     | counter u64 | ciphertext | tag[16] |     the counter grows with each message
//     +-------------+------------+---------+
inline constexpr std::size_t kSealBytes = 8 + 16;

/// Seals what goes one way over one ordered channel.
class LinkSealer {
 public:
    explicit LinkSealer(const LinkKey& key);
    ~LinkSealer();
    LinkSealer(LinkSealer&&) noexcept;
    LinkSealer& operator=(LinkSealer&&) noexcept;

    /// Appends the sealed body to `out`: `head` and `body`, joined. A counter is used up whether or
    /// not the message goes. REQUIRES: ENCRYPTED is set in `header`, as it will go out.
    void seal(const protocol::Header& header, ByteSpan head, ByteSpan body, Bytes& out);

 private:
    std::unique_ptr<rtc::RecordCipher> cipher_;
    std::uint64_t last_ = 0;
    Bytes joined_;
};

/// Opens what comes one way over one ordered channel.
class LinkOpener {
 public:
    explicit LinkOpener(const LinkKey& key);
    ~LinkOpener();
    LinkOpener(LinkOpener&&) noexcept;
    LinkOpener& operator=(LinkOpener&&) noexcept;

    /// Writes the body to `out`, which it replaces. kInvalid: too short to be sealed. kCorrupt: the
    /// seal does not verify, or the counter has not grown; `out` is then of no use.
    Status open(const protocol::Header& header, ByteSpan sealed, Bytes& out);

 private:
    std::unique_ptr<rtc::RecordCipher> cipher_;
    std::uint64_t last_ = 0;  ///< senders begin with 1
};

}  // namespace kollator::cluster
