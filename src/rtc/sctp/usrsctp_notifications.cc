// What usrsctp tells an association of its own accord; RFC 6458 6.1.
#include <usrsctp.h>

#include <cstring>

#include "rtc/sctp/usrsctp_association.h"

namespace kollator::rtc {

void UsrsctpAssociation::on_notification(ByteSpan notification) {
    sctp_notification::sctp_tlv header{};
    if (notification.size() < sizeof(header)) return;
    std::memcpy(&header, notification.data(), sizeof(header));
    switch (header.sn_type) {
        case SCTP_ASSOC_CHANGE:
            on_association_change(notification);
            break;
        case SCTP_STREAM_RESET_EVENT:
            on_stream_reset_event(notification);
            break;
        default:
            break;
    }
}

void UsrsctpAssociation::on_association_change(ByteSpan notification) {
    sctp_assoc_change change{};
    if (notification.size() < sizeof(change)) return;
    std::memcpy(&change, notification.data(), sizeof(change));
    switch (change.sac_state) {
        case SCTP_COMM_UP:
            if (state_ != State::kConnecting) return;
            state_ = State::kConnected;
            outgoing_streams_ = change.sac_outbound_streams;
            push(EventKind::kConnected, 0);
            break;
        case SCTP_RESTART:
            // A peer that lost its state has lost its channels, too.
            lose("peer restarted the association");
            break;
        case SCTP_SHUTDOWN_COMP:
            lose("peer closed");
            break;
        case SCTP_CANT_STR_ASSOC:
            lose("sctp could not be set up");
            break;
        case SCTP_COMM_LOST:
            lose(in_input_ ? "peer closed" : "sctp timed out");
            break;
        default:
            break;
    }
}

void UsrsctpAssociation::on_stream_reset_event(ByteSpan notification) {
    sctp_stream_reset_event event{};
    constexpr std::size_t kListOffset = offsetof(sctp_stream_reset_event, strreset_stream_list);
    if (notification.size() < kListOffset) return;
    std::memcpy(&event, notification.data(), kListOffset);
    const bool incoming = (event.strreset_flags & SCTP_STREAM_RESET_INCOMING_SSN) != 0;
    const bool refused =
        (event.strreset_flags & (SCTP_STREAM_RESET_DENIED | SCTP_STREAM_RESET_FAILED)) != 0;
    if (incoming && refused) return;
    // A refused reset of ours counts as done: the peer knows nothing of the stream.
    const EventKind kind = incoming ? EventKind::kReset : EventKind::kResetDone;

    const std::size_t count = (notification.size() - kListOffset) / sizeof(std::uint16_t);
    for (std::size_t i = 0; i < count; ++i) {
        std::uint16_t stream;
        std::memcpy(&stream, notification.data() + kListOffset + i * sizeof(stream),
                    sizeof(stream));
        push(kind, stream);
        if (!incoming && resets_in_flight_ > 0) --resets_in_flight_;
    }
    if (count > 0 || !incoming) return;
    // RFC 6525 4.1: no list means all of them.
    for (std::uint16_t stream = 0; stream < options_.max_streams; ++stream) push(kind, stream);
}

}  // namespace kollator::rtc
