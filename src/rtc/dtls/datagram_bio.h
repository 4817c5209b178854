#pragma once

#include <openssl/bio.h>

#include "base/bytes.h"
#include "rtc/certificate_impl.h"

namespace kollator::rtc {

/// Takes what OpenSSL writes, one datagram a call.
class DatagramWriter {
 public:
    virtual ~DatagramWriter() = default;
    virtual void write_datagram(ByteSpan datagram) = 0;
};

using BioPtr = OpensslPtr<BIO, BIO_free_all>;

/// What stands behind the BIO of one DTLS association. A plain memory BIO would join datagrams;
/// DTLS needs their boundaries. Outlives its BIO.
struct DatagramPort {
    DatagramWriter* writer = nullptr;
    ByteSpan incoming;  ///< the datagram that OpenSSL reads next; empty: none
    std::size_t mtu_bytes = 0;
};

/// Null where memory is short.
BioPtr make_datagram_bio(DatagramPort& port);

}  // namespace kollator::rtc
