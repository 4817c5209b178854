// AUTH, and what is sealed after it (docs/protocol.md, section 5).
#include <utility>

#include "base/log.h"
#include "session/session.h"

namespace kollator::session {

using protocol::Flag;
using protocol::Header;
using protocol::MessageType;
using protocol::WireError;

namespace {

const log::Logger kLog("session");

}  // namespace

void Session::on_auth(const RequestKey& key, ByteSpan body) {
    const Result<protocol::Auth> request = protocol::decode_auth(body);
    if (!request.ok()) return refuse_malformed(key, MessageType::kAuth, request.error().detail);
    const auto refuse_with = [&](WireError code, std::string why) {
        kLog.debug("auth refused session={} peer={} reason=\"{}\"", number_, options_.label, why);
        refuse(key, MessageType::kAuth, {code, std::move(why)});
    };
    cluster::Authenticator* const authenticator = context_.services().authenticator;
    if (authenticator == nullptr) {
        return refuse(key, MessageType::kAuth,
                      {WireError::kUnsupported, "this worker has no shared key"});
    }
    // The counters of sealed messages have to grow, which they do not where messages overtake each
    // other.
    if (!ordered(key.channel)) {
        return refuse(key, MessageType::kAuth,
                      {WireError::kUnsupported, "AUTH needs an ordered channel"});
    }
    const auto fingerprints = options_.fingerprints ? options_.fingerprints() : std::nullopt;
    if (!fingerprints) {
        return refuse_with(WireError::kUnauthorized, "this connection has no certificate to bind");
    }
    auto answered = authenticator->answer(*request, *fingerprints);
    if (!answered) {
        const bool full = answered.error().code == ErrorCode::kLimit;
        return refuse_with(full ? WireError::kBusy : WireError::kUnauthorized,
                           answered.error().detail);
    }
    cluster::Link& link = answered->link;
    if (authenticated_.contains(key.channel)) {
        return refuse_with(WireError::kBadRequest, "this channel is authenticated already");
    }
    if (!fellow_id_.empty() && fellow_id_ != link.fellow_id) {
        return refuse_with(WireError::kUnauthorized, "this connection is another worker's");
    }
    const Header header{MessageType::kAuth, Flag::kResponse, key.id};
    Bytes message = protocol::encode_message(header, answered->answer);
    if (admit(key, MessageType::kAuth, message.size()) == nullptr) return;
    if (fellow_id_.empty()) context_.count_fellows(+1);
    fellow_id_ = link.fellow_id;
    authenticated_.emplace(key.channel, Authenticated{cluster::LinkOpener(link.keys.from_offerer),
                                                      link.keys.from_answerer});
    kLog.info("fellow session={} peer={} id={}", number_, options_.label, fellow_id_);
    answer(key, std::move(message));
}

/// The answer to AUTH has gone out: the peer can open what follows. An AUTH that was refused leaves
/// the channel as it was.
void Session::seal_answers(ChannelHandle channel) {
    const auto found = authenticated_.find(channel);
    if (found != authenticated_.end()) outgoing_.seal(channel, found->second.answer_key);
}

/// REQUIRES: the channel is authenticated.
void Session::receive_sealed(ChannelHandle channel, const protocol::Message& message) {
    const Status opened =
        authenticated_.at(channel).opener.open(message.header, message.body, opened_);
    if (!opened) {
        const RequestKey key{channel, message.header.request_id};
        refuse(key, message.header.type, {WireError::kUnauthorized, opened.error().detail});
        return note_malformed();
    }
    Header header = message.header;
    header.flags = header.flags.without(Flag::kEncrypted);
    dispatch(channel, {header, opened_});
}

}  // namespace kollator::session
