#pragma once

#include <utility>

#include "cluster/seal.h"
#include "peer/wire.h"

namespace kollator::cluster {

/// The offerer's side of a sealed link.
class LinkCipher final : public peer::BodyCipher {
 public:
    explicit LinkCipher(const LinkKeys& keys)
        : sealer_(keys.from_offerer), opener_(keys.from_answerer) {}

    Result<Bytes> seal(const protocol::Header& header, ByteSpan body) override {
        Bytes out;
        sealer_.seal(header, {}, body, out);
        return out;
    }
    Result<Bytes> open(const protocol::Header& header, ByteSpan body) override {
        Bytes out;
        if (const Status opened = opener_.open(header, body, out); !opened) return opened.error();
        return out;
    }
    std::size_t overhead_bytes() const override { return kSealBytes; }

 private:
    LinkSealer sealer_;
    LinkOpener opener_;
};

}  // namespace kollator::cluster
