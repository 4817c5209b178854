#include "session/outgoing.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace kollator::session {

void Outgoing::add_channel(ChannelHandle handle, std::unique_ptr<SessionTransport> transport) {
    channels_[handle].transport = std::move(transport);
}

void Outgoing::remove_channel(ChannelHandle handle) {
    const auto found = channels_.find(handle);
    if (found == channels_.end()) return;
    for (const Answer& answer : found->second.answers) {
        if (!answer.key) refusal_bytes_ -= answer.message.size();
    }
    channels_.erase(found);
    ring_.remove_if([&](const Turn& turn) { return turn.key.channel == handle; });
}

SessionTransport* Outgoing::channel(ChannelHandle handle) {
    const auto found = channels_.find(handle);
    return found == channels_.end() ? nullptr : found->second.transport.get();
}

std::size_t Outgoing::max_message_bytes(ChannelHandle handle) const {
    return max_message_bytes(channels_.at(handle));
}

std::size_t Outgoing::max_message_bytes(const Channel& channel) {
    return channel.transport->max_message_bytes() - (channel.sealer ? cluster::kSealBytes : 0);
}

void Outgoing::seal(ChannelHandle handle, const cluster::LinkKey& key) {
    channels_.at(handle).sealer.emplace(key);
}

void Outgoing::compress(ChannelHandle handle, protocol::Deflater* deflater) {
    channels_.at(handle).deflater = deflater;
}

/// The seal is made at the last moment, since its counter has to grow from message to message.
Status Outgoing::send(Channel& channel, ByteSpan head, ByteSpan body) {
    if (!channel.sealer) return channel.transport->send(head, body);
    protocol::Header header = *protocol::peek_header(head);
    header.flags = header.flags | protocol::Flag::kEncrypted;
    const auto encoded = protocol::encode_header(header);
    sealed_.assign(encoded.begin(), encoded.end());
    channel.sealer->seal(header, head.subspan(protocol::kHeaderBytes), body, sealed_);
    return channel.transport->send(sealed_, {});
}

Status Outgoing::send(Channel& channel, const Download& download) {
    const BufferSlice* const shared = channel.sealer ? nullptr : download.shared_data();
    if (shared != nullptr) return channel.transport->give(download.head(), *shared);
    return send(channel, download.head(), download.data());
}

void Outgoing::answer(ChannelHandle handle, Bytes message, std::optional<RequestKey> key) {
    const auto found = channels_.find(handle);
    if (found == channels_.end()) return;
    KOLLATOR_CHECK(message.size() <= max_message_bytes(found->second));
    if (!key) refusal_bytes_ += message.size();
    found->second.answers.push_back({std::move(message), key});
    answers_waiting_ = answers_waiting_ || !found->second.blocked;
}

void Outgoing::ready(const RequestKey& key, Download& download) {
    const bool there =
        std::any_of(ring_.begin(), ring_.end(), [&](const Turn& turn) { return turn.key == key; });
    if (!there) ring_.push_back({key, &download});
}

void Outgoing::remove(const RequestKey& key) {
    ring_.remove_if([&](const Turn& turn) { return turn.key == key; });
}

void Outgoing::writable() {
    for (auto& [handle, channel] : channels_) {
        channel.blocked = false;
        answers_waiting_ = answers_waiting_ || !channel.answers.empty();
    }
}

bool Outgoing::pump() {
    packs_ = 0;
    for (std::size_t turns = 0;
         turns < limits_.max_fragments_per_turn && packs_ < limits_.max_packs_per_turn; ++turns) {
        send_answers();
        const auto turn = next_turn();
        if (turn == ring_.end()) return false;
        take_turn(turn);
    }
    send_answers();
    return next_turn() != ring_.end();
}

void Outgoing::send_answers() {
    if (!answers_waiting_) return;
    answers_waiting_ = false;
    for (auto& [handle, channel] : channels_) {
        if (!channel.blocked) channel.blocked = !send_answers(channel);
    }
}

/// False where the transport took not all of them.
bool Outgoing::send_answers(Channel& channel) {
    while (!channel.answers.empty()) {
        const Answer& next = channel.answers.front();
        // Whatever the error, there is nothing to do but wait: on_writable or on_close follows.
        if (!send(channel, next.message, {}).ok()) return false;
        const std::size_t size_bytes = next.message.size();
        const std::optional<RequestKey> key = next.key;
        channel.answers.pop_front();
        observer_.on_sent(size_bytes);
        if (key) {
            observer_.on_answer_sent(*key);
        } else {
            refusal_bytes_ -= size_bytes;
        }
    }
    return true;
}

std::list<Outgoing::Turn>::iterator Outgoing::next_turn() {
    return std::find_if(ring_.begin(), ring_.end(), [this](const Turn& turn) {
        return !channels_.at(turn.key.channel).blocked;
    });
}

/// At most, of the next fragment's data.
std::uint32_t Outgoing::piece_bytes(const Download& download, std::size_t max_message_bytes) const {
    const std::uint32_t whole = limits_.fragment_data_bytes;
    const std::uint32_t most = download.began() ? whole : limits_.first_fragment_data_bytes;
    const std::uint32_t to_boundary = whole - download.position() % whole;
    const std::size_t room = max_message_bytes - protocol::kResponseHeadBytes;
    return static_cast<std::uint32_t>(std::min<std::size_t>({most, to_boundary, room}));
}

/// One fragment of one download. The observer may remove and add turns.
void Outgoing::take_turn(std::list<Turn>::iterator turn) {
    const RequestKey key = turn->key;
    Download& download = *turn->download;
    Channel& channel = channels_.at(key.channel);
    const Result<Download::Step> step =
        download.prepare(piece_bytes(download, max_message_bytes(channel)));
    if (!step.ok()) {
        ring_.erase(turn);
        observer_.on_download_failed(key, step.error());
        return;
    }
    if (*step == Download::Step::kWaiting) {
        ring_.erase(turn);
        return;
    }
    if (channel.deflater != nullptr && download.pack(*channel.deflater)) ++packs_;
    const std::size_t size_bytes = download.head().size() + download.data().size();
    if (!send(channel, download).ok()) {
        channel.blocked = true;  // keeps its place in the ring, and its prepared piece
        return;
    }
    const bool first = !download.began();
    download.sent();
    const bool last = download.finished();
    if (last) {
        ring_.erase(turn);
    } else {
        ring_.splice(ring_.end(), ring_, turn);
    }
    observer_.on_sent(size_bytes);
    observer_.on_fragment_sent(key, first, last);
}

}  // namespace kollator::session
