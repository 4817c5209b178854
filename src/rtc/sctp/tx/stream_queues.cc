#include "rtc/sctp/tx/stream_queues.h"

#include <algorithm>

namespace kollator::rtc::sctp {

void StreamQueues::push(MessageRef message) {
    const std::uint16_t id = message->stream;
    Stream& stream = streams_[id];
    if (stream.messages.empty()) turns_.push_back(id);
    stream.messages.push_back(std::move(message));
    ++messages_;
}

bool StreamQueues::has(std::uint16_t stream) const {
    const auto found = streams_.find(stream);
    return found != streams_.end() && !found->second.messages.empty();
}

StreamQueues::Stream& StreamQueues::current() {
    return streams_.find(turns_.front())->second;
}

const OutMessage& StreamQueues::next_message() {
    return *current().messages.front();
}

std::size_t StreamQueues::next_bytes() {
    const OutMessage& message = next_message();
    return message.size_bytes - message.sent_bytes;
}

StreamQueues::Fragment StreamQueues::cut(std::size_t max_bytes) {
    Stream& stream = current();
    Fragment fragment{stream.messages.front(), 0, 0};
    OutMessage& message = *fragment.message;
    if (message.sent_bytes == 0 && message.ordered) message.ssn = stream.next_ssn++;
    fragment.offset = message.sent_bytes;
    fragment.size_bytes = static_cast<std::uint16_t>(
        std::min<std::size_t>(max_bytes, message.size_bytes - message.sent_bytes));
    message.sent_bytes += fragment.size_bytes;
    if (message.sent_bytes == message.size_bytes) finish_message();
    return fragment;
}

/// The front message of the stream in turn leaves; the next stream is in turn.
void StreamQueues::finish_message() {
    Stream& stream = current();
    const std::uint16_t id = turns_.front();
    stream.messages.pop_front();
    --messages_;
    turns_.pop_front();
    if (!stream.messages.empty()) turns_.push_back(id);
}

MessageRef StreamQueues::drop_next() {
    MessageRef message = current().messages.front();
    finish_message();
    return message;
}

void StreamQueues::drop(const OutMessage& message) {
    // A message that is sent in part is in turn.
    if (!turns_.empty() && &next_message() == &message) drop_next();
}

void StreamQueues::reset_stream(std::uint16_t stream) {
    const auto found = streams_.find(stream);
    if (found != streams_.end() && found->second.messages.empty()) streams_.erase(found);
}

void StreamQueues::clear() {
    streams_.clear();
    turns_.clear();
    messages_ = 0;
}

}  // namespace kollator::rtc::sctp
