// What an association holds: told to the stack, promised to the peer, and given up.
#include <utility>

#include "rtc/sctp/own_association.h"

namespace kollator::rtc {

/// Tells the stack what is buffered and unread here now.
void OwnAssociation::account() {
    StackBudget& budget = stack_.budget();
    budget.change_buffered(std::exchange(accounted_bytes_, buffered_bytes()), buffered_bytes());
    const std::size_t unread = inbox_bytes_ + (receiver_ ? receiver_->memory_bytes() : 0);
    budget.change_unread(std::exchange(unread_bytes_, unread), unread);
}

sctp::ReceiveLoad OwnAssociation::receive_load() const {
    return {inbox_bytes_, stack_.budget().receive_scarce()};
}

/// The window as the path needs it, where the budget allows.
void OwnAssociation::adjust_window(TimePoint now) {
    if (!receiver_) return;
    sctp::ReceiveWindow& window = receiver_->receive_window();
    const std::uint32_t wanted = window.wanted(now);
    if (wanted == window_bytes_ || !stack_.budget().change_promise(window_bytes_, wanted)) return;
    // The peer hears of a larger one when it matters (Receiver::check_window).
    if (wanted < window_bytes_) receiver_->policy().demand();
    window_bytes_ = wanted;
    window.set_bytes(wanted);
}

bool OwnAssociation::give_up_unread() {
    const std::size_t before = unread_bytes_;
    if (state_ != State::kClosed) {
        Bytes cause;
        sctp::append_parameter(cause, sctp::error_cause::kOutOfResource, {});
        send_single(peer_.tag, sctp::chunk_type::kAbort, cause);
        lose("too much was received and not read");
        ask_for_poll();
    }
    std::erase_if(inbox_, [](const Event& event) { return event.kind == EventKind::kMessage; });
    inbox_bytes_ = inbox_.size() * kEventBytes;
    account();
    return unread_bytes_ < before;
}

}  // namespace kollator::rtc
