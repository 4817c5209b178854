#include "cluster/seal.h"

#include <fmt/format.h>

#include "base/check.h"
#include "rtc/dtls/record_cipher.h"

namespace kollator::cluster {
namespace {

constexpr std::size_t kCounterBytes = 8;
static_assert(kSealBytes == kCounterBytes + rtc::RecordCipher::kTagBytes);

rtc::RecordCipher::Nonce nonce_of(std::uint64_t counter) {
    rtc::RecordCipher::Nonce nonce{};
    store_u64(nonce.data() + nonce.size() - kCounterBytes, counter);
    return nonce;
}

std::unique_ptr<rtc::RecordCipher> make_cipher(const LinkKey& key, rtc::CipherDirection direction) {
    auto cipher = rtc::make_record_cipher(key, direction);
    KOLLATOR_CHECK(cipher != nullptr);
    return cipher;
}

}  // namespace

LinkSealer::LinkSealer(const LinkKey& key)
    : cipher_(make_cipher(key, rtc::CipherDirection::kSeal)) {}
LinkSealer::~LinkSealer() = default;
LinkSealer::LinkSealer(LinkSealer&&) noexcept = default;
LinkSealer& LinkSealer::operator=(LinkSealer&&) noexcept = default;

void LinkSealer::seal(const protocol::Header& header, ByteSpan head, ByteSpan body, Bytes& out) {
    KOLLATOR_CHECK(header.flags.has(protocol::Flag::kEncrypted));
    joined_.assign(head.begin(), head.end());
    joined_.insert(joined_.end(), body.begin(), body.end());
    const std::uint64_t counter = ++last_;
    const std::size_t begin = out.size();
    out.resize(begin + joined_.size() + kSealBytes);
    store_u64(out.data() + begin, counter);
    KOLLATOR_CHECK(cipher_->seal(nonce_of(counter), protocol::encode_header(header), joined_,
                                 out.data() + begin + kCounterBytes));
}

LinkOpener::LinkOpener(const LinkKey& key)
    : cipher_(make_cipher(key, rtc::CipherDirection::kOpen)) {}
LinkOpener::~LinkOpener() = default;
LinkOpener::LinkOpener(LinkOpener&&) noexcept = default;
LinkOpener& LinkOpener::operator=(LinkOpener&&) noexcept = default;

Status LinkOpener::open(const protocol::Header& header, ByteSpan sealed, Bytes& out) {
    if (sealed.size() < kSealBytes) {
        return make_error(ErrorCode::kInvalid, fmt::format("a sealed body of {} bytes, {} at least",
                                                           sealed.size(), kSealBytes));
    }
    const std::uint64_t counter = load_u64(sealed.data());
    out.resize(sealed.size() - kSealBytes);
    if (!cipher_->open(nonce_of(counter), protocol::encode_header(header),
                       sealed.subspan(kCounterBytes), out.data())) {
        return make_error(ErrorCode::kCorrupt, "the seal does not verify");
    }
    // After the tag, which vouches for the counter.
    if (counter <= last_) {
        return make_error(
            ErrorCode::kCorrupt,
            fmt::format("the counter {} does not grow: {} was there", counter, last_));
    }
    last_ = counter;
    return {};
}

}  // namespace kollator::cluster
