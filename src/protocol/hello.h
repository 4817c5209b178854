#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

// The JSON bodies: HELLO (docs/protocol.md, 2.2) and AUTH (section 5). Members that this version
// does not know are ignored. Every decoder answers kInvalid (no such document) or kLimit (too
// large, too deep) with what is wrong.
namespace kollator::protocol {

enum class Role : std::uint8_t { kClient, kWorker };

inline constexpr std::size_t kMaxIdBytes = 128;
inline constexpr std::size_t kMaxAgentBytes = 256;
/// Entries of `accept` and of `features`, and the bytes of each.
inline constexpr std::size_t kMaxWords = 32;
inline constexpr std::size_t kMaxWordBytes = 64;

struct Hello {
    std::uint64_t version = 1;
    Role role = Role::kClient;
    std::string id{};                   ///< may be empty
    std::vector<std::string> accept{};  ///< compressions that the sender takes: "deflate-raw"
    std::string agent{};  ///< may be empty; a stranger's words, not for logs as they are
    std::optional<std::uint64_t> max_chunk_bytes{};  ///< in a worker's answer
    std::vector<std::string> features{};             ///< in a worker's answer

    bool operator==(const Hello&) const = default;
};

/// A document of another version has only `version` set: what else stands in it is not ours to
/// judge. The receiver answers UNSUPPORTED.
Result<Hello> decode_hello(ByteSpan body);
void encode(const Hello& hello, Bytes& out);

/// An AUTH of ours has 270 bytes and its id.
inline constexpr std::size_t kMaxAuthBytes = 1024;

struct Auth {
    std::string worker_id{};
    std::uint64_t timestamp_s = 0;
    std::array<std::uint8_t, 32> token{};
    std::array<std::uint8_t, 16> nonce{};
    std::array<std::uint8_t, 32> proof{};

    bool operator==(const Auth&) const = default;
};

Result<Auth> decode_auth(ByteSpan body);
void encode(const Auth& auth, Bytes& out);

}  // namespace kollator::protocol
