#include "store/s3/exchange.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace kollator::store::s3 {
namespace {

/// Told at the first bytes, so that a reader begins at once, and then in steps of a few of the
/// wire's fragments: libcurl hands out 16 KiB at a time, and a post for each costs more than it
/// brings.
constexpr std::size_t kProgressStepBytes = 64 << 10;

std::optional<std::uint64_t> parse_number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && std::string_view(" \t\r\n").find(text.back()) != text.npos) {
        text.remove_suffix(1);
    }
    return text;
}

bool same_name(std::string_view a, std::string_view lowercase) {
    return std::equal(a.begin(), a.end(), lowercase.begin(), lowercase.end(), [](char x, char y) {
        return (x >= 'A' && x <= 'Z' ? static_cast<char>(x - 'A' + 'a') : x) == y;
    });
}

bool is_success(int status) {
    return status >= 200 && status < 300;
}

}  // namespace

std::optional<ContentRange> parse_content_range(std::string_view value) {
    static constexpr std::string_view kUnit = "bytes ";
    if (!value.starts_with(kUnit)) return std::nullopt;
    value.remove_prefix(kUnit.size());
    const std::size_t dash = value.find('-');
    const std::size_t slash = value.find('/');
    if (dash == value.npos || slash == value.npos || dash > slash) return std::nullopt;
    const auto first = parse_number(value.substr(0, dash));
    const auto last = parse_number(value.substr(dash + 1, slash - dash - 1));
    const auto total = parse_number(value.substr(slash + 1));
    if (!first || !last || !total || *first > *last || *last >= *total) return std::nullopt;
    return ContentRange{*first, *last, *total};
}

Exchange::Exchange(HttpRequest request, OnProgress on_progress, OnDone on_done)
    : request_(std::move(request)),
      upload_bytes_(request_.body ? request_.body->size() : 0),
      wants_progress_(static_cast<bool>(on_progress)),
      on_progress_(std::move(on_progress)),
      on_done_(std::move(on_done)) {}

void Exchange::cancel() {
    on_progress_ = nullptr;
    on_done_ = nullptr;
    cancelling_.store(true, std::memory_order_relaxed);
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    request_.body.reset();
    request_.budget = nullptr;
    buffer_.reset();
    const std::lock_guard progress_lock(progress_mutex_);
    shown_buffer_.reset();
}

void Exchange::report_progress() {
    SharedBuffer buffer;
    std::size_t available_bytes = 0;
    std::uint64_t object_size = 0;
    {
        const std::lock_guard lock(progress_mutex_);
        progress_posted_ = false;
        buffer = shown_buffer_;
        available_bytes = shown_bytes_;
        object_size = object_size_;
    }
    if (!buffer || !on_progress_) return;
    const OnProgress on_progress = on_progress_;  // it may destroy the request's handle
    on_progress(buffer, available_bytes, object_size);
}

void Exchange::complete() {
    completed_ = true;
    on_progress_ = nullptr;
    const OnDone on_done = std::exchange(on_done_, nullptr);
    {
        const std::lock_guard lock(mutex_);
        if (cancelled_) return;
        request_.body.reset();
        if (response_.fault == Fault::kNone) response_.body = std::move(buffer_);
        buffer_.reset();
        const std::lock_guard progress_lock(progress_mutex_);
        shown_buffer_.reset();
    }
    if (on_done) on_done(std::move(response_));
}

std::optional<std::size_t> Exchange::read_upload(std::size_t offset, MutableByteSpan out) {
    if (cancelling_.load(std::memory_order_relaxed)) return std::nullopt;
    const std::lock_guard lock(mutex_);
    if (cancelled_) return std::nullopt;
    const std::size_t count = std::min(out.size(), upload_bytes_ - offset);
    if (count > 0) std::memcpy(out.data(), request_.body->data() + offset, count);
    return count;
}

void Exchange::take_header(std::string_view line) {
    if (line.starts_with("HTTP/")) {
        response_ = HttpResponse{};
        const std::size_t space = line.find(' ');
        if (space == line.npos) return;
        response_.status = static_cast<int>(parse_number(line.substr(space + 1, 3)).value_or(0));
        return;
    }
    const std::size_t colon = line.find(':');
    if (colon == line.npos) return;
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (same_name(name, "content-length")) response_.content_length = parse_number(value);
    if (same_name(name, "content-range")) response_.content_range = parse_content_range(value);
    if (same_name(name, "etag")) response_.has_etag = !value.empty();
    if (same_name(name, "date")) response_.date = value;
}

bool Exchange::fail(Fault fault, std::string detail) {
    response_.fault = fault;
    response_.fault_detail = std::move(detail);
    return false;
}

std::uint64_t Exchange::object_size() const {
    if (response_.content_range) return response_.content_range->total;
    return response_.content_length.value_or(0);
}

bool Exchange::begin_body() {
    if (!response_.content_length) {
        return fail(Fault::kNoLength, "the server sent a body without Content-Length");
    }
    const std::uint64_t length = *response_.content_length;
    if (length > request_.max_body_bytes) {
        return fail(Fault::kTooLarge, fmt::format("{} bytes, more than the {} allowed", length,
                                                  request_.max_body_bytes));
    }
    ByteBudget::Lease lease;
    if (request_.budget != nullptr) {
        lease = request_.budget->try_acquire(static_cast<std::size_t>(length));
        if (!lease) return fail(Fault::kNoMemory, fmt::format("no memory for {} bytes", length));
    }
    buffer_ = std::make_shared<Buffer>(static_cast<std::size_t>(length), std::move(lease));
    return true;
}

/// REQUIRES: mutex_ is held.
void Exchange::show_progress() {
    const std::lock_guard lock(progress_mutex_);
    if (shown_buffer_ != buffer_) shown_buffer_ = buffer_;
    shown_bytes_ = available_bytes_;
    object_size_ = object_size();
}

bool Exchange::take_text(ByteSpan piece) {
    const std::size_t room = request_.max_text_bytes - response_.text.size();
    response_.text += as_text(piece.first(std::min(room, piece.size())));
    if (piece.size() <= room) return true;
    if (is_success(response_.status)) {
        return fail(Fault::kTooLarge,
                    fmt::format("an answer of more than {} bytes", request_.max_text_bytes));
    }
    return false;  // of an error document, the beginning will do
}

bool Exchange::take_body(ByteSpan piece) {
    if (!request_.keep_body || !is_success(response_.status)) return take_text(piece);
    if (cancelling_.load(std::memory_order_relaxed)) return false;
    const std::lock_guard lock(mutex_);
    if (cancelled_) return false;
    if (!buffer_ && !begin_body()) return false;
    if (piece.size() > buffer_->size() - available_bytes_) {
        return fail(Fault::kTruncated, "more bytes than Content-Length says");
    }
    std::memcpy(buffer_->data() + available_bytes_, piece.data(), piece.size());
    available_bytes_ += piece.size();
    if (wants_progress_) show_progress();
    return true;
}

bool Exchange::progress_due() {
    if (!wants_progress_) return false;
    const std::lock_guard lock(progress_mutex_);
    if (progress_posted_ || !shown_buffer_ || shown_bytes_ == shown_buffer_->size()) return false;
    const std::size_t step = reported_bytes_ == 0 ? 1 : kProgressStepBytes;
    if (shown_bytes_ < reported_bytes_ + step) return false;
    reported_bytes_ = shown_bytes_;
    progress_posted_ = true;
    return true;
}

void Exchange::finish(Fault fault, std::string_view detail, std::optional<WallTime> server_time) {
    response_.server_time = server_time;
    // An error's status says more than the loss of its explanation.
    if (response_.status >= 300 && fault != Fault::kTimeout) return;
    if (response_.fault != Fault::kNone) return;
    if (fault != Fault::kNone) {
        fail(fault, std::string(detail));
        return;
    }
    if (!request_.keep_body || !is_success(response_.status)) return;
    const std::lock_guard lock(mutex_);
    if (cancelled_) return;
    if (!buffer_ && !begin_body()) return;
    if (available_bytes_ != buffer_->size()) {
        fail(Fault::kTruncated,
             fmt::format("{} bytes came of {}", available_bytes_, buffer_->size()));
    }
}

}  // namespace kollator::store::s3
