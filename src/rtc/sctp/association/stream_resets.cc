#include "rtc/sctp/association/stream_resets.h"

#include <algorithm>
#include <utility>

namespace kollator::rtc::sctp {

bool OutgoingResets::is_resetting(std::uint16_t stream) const {
    return std::any_of(streams_.begin(), streams_.end(),
                       [stream](const Stream& each) { return each.id == stream; });
}

std::optional<OutgoingResetRequest> OutgoingResets::next_request(TimePoint now, Duration timeout,
                                                                 Tsn cumulative) {
    if (requested_) {
        if (!deadline_ || *deadline_ > now) return std::nullopt;
        ++tries_;
        if (renew_) ++next_sequence_;
        renew_ = false;
    } else {
        for (Stream& stream : streams_) {
            stream.requested = stream.barrier && *stream.barrier <= cumulative;
            requested_ = requested_ || stream.requested;
        }
        if (!requested_) return std::nullopt;
        first_sequence_ = next_sequence_;
        tries_ = 0;
    }
    deadline_ = now + timeout * (1 << std::min(tries_, 5));
    return build(cumulative);
}

OutgoingResetRequest OutgoingResets::build(Tsn cumulative) const {
    OutgoingResetRequest request;
    request.sequence = next_sequence_;
    // DEVIATION from RFC 6525 4.1 ("the next TSN minus 1"): what other streams have sent since need
    // not be waited for.
    request.last_tsn = static_cast<std::uint32_t>(cumulative);
    for (const Stream& stream : streams_) {
        if (stream.requested) request.streams.push_back(stream.id);
    }
    return request;
}

std::vector<std::uint16_t> OutgoingResets::on_response(const ReconfigResponse& response,
                                                       TimePoint now) {
    const std::uint32_t forms = next_sequence_ - first_sequence_;
    if (!requested_ || response.sequence - first_sequence_ > forms) return {};
    tries_ = 0;
    if (response.result == ResetResult::kInProgress ||
        response.result == ResetResult::kAlreadyInProgress) {
        // Some peers take a repetition for one, and say the same for ever.
        renew_ = true;
        deadline_ = std::max(deadline_.value_or(now), now);
        return {};
    }
    std::vector<std::uint16_t> done;
    for (const Stream& stream : streams_) {
        if (stream.requested) done.push_back(stream.id);
    }
    std::erase_if(streams_, [](const Stream& stream) { return stream.requested; });
    ++next_sequence_;
    requested_ = renew_ = false;
    deadline_.reset();
    return done;
}

IncomingResets::Verdict IncomingResets::on_outgoing(const OutgoingResetRequest& request,
                                                    Tsn last_tsn, Tsn cumulative) {
    if (is_repetition(request.sequence)) {
        return {ReconfigResponse{request.sequence, last_result_}, {}, false};
    }
    if (!is_new(request.sequence)) {
        return {ReconfigResponse{request.sequence, ResetResult::kBadSequence}, {}, false};
    }
    last_sequence_ = request.sequence;
    // What lists more than there is lists something twice.
    const bool known = request.streams.size() <= streams_ &&
                       std::all_of(request.streams.begin(), request.streams.end(),
                                   [this](std::uint16_t stream) { return stream < streams_; });
    if (!known) {
        last_result_ = ResetResult::kWrongSsn;
        return {ReconfigResponse{request.sequence, last_result_}, {}, false};
    }
    if (last_tsn <= cumulative) return perform(request.sequence, request.streams);
    // RFC 6525 5.2.2, E2: "If the Sender's Last Assigned TSN is greater than the cumulative
    // acknowledgment point, then the endpoint MUST enter "deferred reset processing"".
    waiting_ = Waiting{request.sequence, last_tsn, request.streams};
    last_result_ = ResetResult::kInProgress;
    return {ReconfigResponse{request.sequence, last_result_}, {}, false};
}

bool IncomingResets::on_other(std::uint32_t sequence, ResetResult result,
                              ReconfigResponse& response) {
    const bool fresh = is_new(sequence);
    if (fresh) {
        last_sequence_ = sequence;
        last_result_ = result;
    }
    response = {sequence,
                fresh || is_repetition(sequence) ? last_result_ : ResetResult::kBadSequence};
    return fresh;
}

IncomingResets::Verdict IncomingResets::on_progress(Tsn cumulative) {
    if (!waiting_ || waiting_->last_tsn > cumulative) return {};
    const Waiting waiting = std::move(*waiting_);
    waiting_.reset();
    return perform(waiting.sequence, waiting.streams);
}

IncomingResets::Verdict IncomingResets::perform(std::uint32_t sequence,
                                                std::vector<std::uint16_t> streams) {
    waiting_.reset();
    if (sequence == last_sequence_) last_result_ = ResetResult::kPerformed;
    const bool all = streams.empty();
    return {ReconfigResponse{sequence, ResetResult::kPerformed}, std::move(streams), all};
}

}  // namespace kollator::rtc::sctp
