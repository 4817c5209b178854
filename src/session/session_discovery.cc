// DHT_ANNOUNCE and DHT_LOOKUP.

#include <utility>

#include "session/session.h"

namespace kollator::session {

using protocol::Flag;
using protocol::Header;
using protocol::MessageType;
using protocol::WireError;

namespace {

/// count u16; an IPv6 peer: family u8, address[16], port u16.
constexpr std::size_t kPeersHeadBytes = 2;
constexpr std::size_t kPeerBytes = 19;
constexpr std::size_t kAcceptedBytes = 2;

}  // namespace

void Session::on_announce(const RequestKey& key, ByteSpan body) {
    constexpr MessageType kType = MessageType::kDhtAnnounce;
    const Result<protocol::AnnounceRequest> request = protocol::decode_announce_request(body);
    if (!request.ok()) return refuse_malformed(key, kType, request.error().detail);
    if (request->ids.size() > limits_.announce_burst) {
        return refuse(key, kType, {WireError::kTooLarge, "too many names in one DHT_ANNOUNCE"});
    }
    const auto wait = announces_.take(context_.now(), static_cast<double>(request->ids.size()));
    if (wait.count() > 0) {
        return refuse(key, kType, {WireError::kBusy, "too many names to announce", wait});
    }
    if (admit(key, kType, protocol::kHeaderBytes + kAcceptedBytes) == nullptr) return;
    const protocol::AnnounceAnswer announced{context_.services().discovery->announce(request->ids)};
    answer(key, protocol::encode_message({kType, Flag::kResponse, key.id}, announced));
}

void Session::on_lookup(const RequestKey& key, ByteSpan body) {
    constexpr MessageType kType = MessageType::kDhtLookup;
    const Result<protocol::LookupRequest> request = protocol::decode_lookup_request(body);
    if (!request.ok()) return refuse_malformed(key, kType, request.error().detail);
    const auto wait = lookups_.take(context_.now(), 1);
    if (wait.count() > 0) return refuse(key, kType, {WireError::kBusy, "too many look-ups", wait});
    const std::size_t room = (outgoing_.channel(key.channel)->max_message_bytes() -
                              protocol::kHeaderBytes - kPeersHeadBytes) /
                             kPeerBytes;
    const std::size_t count = std::min(room, limits_.max_lookup_peers);
    Request* admitted =
        admit(key, kType, protocol::kHeaderBytes + kPeersHeadBytes + count * kPeerBytes);
    if (admitted == nullptr) return;
    auto on_peers = guarded(
        key, admitted->serial,
        [key, count](Session& session, Request& asking,
                     Result<std::vector<protocol::PeerAddress>> peers) {
            if (!std::holds_alternative<Asking>(asking.state)) return;
            if (!peers.ok()) {
                const bool full = peers.error().code == ErrorCode::kLimit;
                session.fail(
                    key, {full ? WireError::kBusy : WireError::kUnavailable, peers.error().detail});
            } else {
                protocol::LookupAnswer found{std::move(*peers)};
                if (found.peers.size() > count) found.peers.resize(count);
                session.answer(key,
                               protocol::encode_message({kType, Flag::kResponse, key.id}, found));
            }
            session.pump();
        });
    context_.services().discovery->look_up(request->id, std::move(on_peers));
}

}  // namespace kollator::session
