#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"

namespace kollator::signaling {

/// What goes over a front's WebSocket (protocol.md, 1.2): one JSON object a text frame, 64 KiB and
/// 32 levels at most. Members that are not known are passed over, so that the contract can grow.

inline constexpr std::size_t kMaxMessageBytes = 64 * 1024;
inline constexpr std::size_t kMaxIdBytes = 64;
inline constexpr std::size_t kMaxUrlBytes = 512;

struct RegisterWorker {
    std::string id;
    std::uint64_t timestamp_s = 0;  ///< since 1970
    std::string token;              ///< hex; see worker_token.h
    std::string url;                ///< where clients reach its HTTP: "http://host:8081"
    std::uint64_t capacity = 0;     ///< connections
    bool operator==(const RegisterWorker&) const = default;
};

struct RegisterClient {
    std::string id;  ///< a UUID that the client would like; empty: none
    bool operator==(const RegisterClient&) const = default;
};

struct Registered {
    std::string id;
    bool operator==(const Registered&) const = default;
};

struct ErrorMessage {
    std::string code;     ///< for programs: "unauthorized", "no-such-peer", …
    std::string message;  ///< for people
    std::string to;       ///< of the signal that could not be delivered; else empty
    bool operator==(const ErrorMessage&) const = default;
};

/// What two peers tell each other, as the simple-peer library has it.
struct SignalData {
    enum class Kind { kOffer, kAnswer, kCandidate };
    Kind kind = Kind::kOffer;
    std::string sdp;        ///< of an offer or answer
    std::string candidate;  ///< "candidate:…"; empty: the end of candidates
    std::string sdp_mid;
    std::uint64_t sdp_mline_index = 0;
    /// The object as it came, unknown members included, for who passes it on. When it is set it is
    /// what encode_message writes.
    std::string raw_json;
};

SignalData make_offer(std::string sdp);
SignalData make_answer(std::string sdp);
SignalData make_candidate(std::string candidate, std::string sdp_mid = "0",
                          std::uint64_t sdp_mline_index = 0);

struct Signal {
    std::string to;
    std::string from;  ///< set by the front; empty on the way there
    SignalData data;
};

struct WorkerStatus {
    std::uint64_t connections = 0;
    std::uint64_t cache_bytes = 0;
    bool draining = false;  ///< takes no new clients
    bool operator==(const WorkerStatus&) const = default;
};

using Message =
    std::variant<RegisterWorker, RegisterClient, Registered, ErrorMessage, Signal, WorkerStatus>;

/// kInvalid: no such message (the detail says what is wrong); kLimit: too long or too deep.
Result<Message> decode_message(std::string_view text);
std::string encode_message(const Message& message);

/// A worker's or client's id: [A-Za-z0-9._-], 1 to 64 of them. No ':', which would make the token's
/// message ambiguous. Every UUID is one.
bool is_valid_id(std::string_view id);
/// 8-4-4-4-12 hex digits (RFC 9562).
bool is_uuid(std::string_view text);
/// "http://…" or "https://…" in printable ASCII, kMaxUrlBytes at most.
bool is_valid_worker_url(std::string_view url);

}  // namespace kollator::signaling
