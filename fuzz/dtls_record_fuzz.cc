// Datagrams into the DTLS record layer: once with real keys, where nothing may come through that it
// did not seal itself, and once with a cipher that takes everything for authentic, so that what
// lies behind the check is reached.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "rtc/dtls/record_layer.h"

namespace {

using kollator::Bytes;
using kollator::ByteSpan;
using kollator::rtc::CipherDirection;
using kollator::rtc::RecordCipher;
using kollator::rtc::RecordLayer;
using kollator::rtc::RecordType;

class NoCipher final : public RecordCipher {
 public:
    bool seal(const Nonce&, ByteSpan, ByteSpan plain, std::uint8_t* out) override {
        std::fill_n(std::copy(plain.begin(), plain.end(), out), kTagBytes, std::uint8_t{0});
        return true;
    }
    bool open(const Nonce&, ByteSpan, ByteSpan sealed, std::uint8_t* out) override {
        std::copy_n(sealed.begin(), sealed.size() - kTagBytes, out);
        return true;
    }
};

void require(bool condition) {
    if (!condition) std::abort();
}

/// Gives how many records the layer took.
std::size_t open_all(RecordLayer& layer, ByteSpan datagram) {
    std::size_t taken = 0;
    while (const auto record = kollator::rtc::take_record(datagram)) {
        Bytes plain(record->fragment.size());
        const auto size = layer.open(*record, plain);
        if (!size) continue;
        ++taken;
        require(*size <= plain.size());
        require(!layer.open(*record, plain));  // the same record again
    }
    return taken;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteSpan input(data, size);
    RecordLayer open_layer(std::make_unique<NoCipher>(), {}, std::make_unique<NoCipher>(), {}, 1);
    open_all(open_layer, input);

    kollator::rtc::DirectionKeys keys;
    keys.key.assign(16, 7);
    const auto layer = RecordLayer::make(keys, keys, 1);
    require(open_all(*layer, input) == 0);
    if (size > kollator::rtc::kMaxRecordBytes) return 0;
    Bytes sealed(size + RecordLayer::kOverheadBytes);
    require(layer->seal(RecordType::kApplicationData, input, sealed) == sealed.size());
    require(open_all(*layer, sealed) == 1);
    return 0;
}
