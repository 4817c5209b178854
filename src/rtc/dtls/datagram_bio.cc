#include "rtc/dtls/datagram_bio.h"

#include <algorithm>
#include <cstring>

namespace kollator::rtc {
namespace {

// DEVIATION from "never give an address to a C library": the port and the SSL that owns this BIO
// are members of one object, and OpenSSL calls back only from within calls that the object makes.
DatagramPort& port_of(BIO* bio) {
    return *static_cast<DatagramPort*>(BIO_get_data(bio));
}

int write_bio(BIO* bio, const char* data, int size) {
    BIO_clear_retry_flags(bio);
    if (size <= 0) return 0;
    port_of(bio).writer->write_datagram(
        {reinterpret_cast<const std::uint8_t*>(data), static_cast<std::size_t>(size)});
    return size;
}

/// Gives the one datagram that waits, as recv() would: what does not fit is cut off.
int read_bio(BIO* bio, char* to, int size) {
    BIO_clear_retry_flags(bio);
    DatagramPort& port = port_of(bio);
    if (port.incoming.empty() || size <= 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    const std::size_t count = std::min(port.incoming.size(), static_cast<std::size_t>(size));
    std::memcpy(to, port.incoming.data(), count);
    port.incoming = {};
    return static_cast<int>(count);
}

long control(BIO* bio, int command, long, void*) {
    switch (command) {
        case BIO_CTRL_FLUSH:
        case BIO_CTRL_DGRAM_SET_NEXT_TIMEOUT:  // we ask with DTLSv1_get_timeout instead
            return 1;
        case BIO_CTRL_PENDING:
            return static_cast<long>(port_of(bio).incoming.size());
        case BIO_CTRL_DGRAM_QUERY_MTU:
        case BIO_CTRL_DGRAM_GET_FALLBACK_MTU:
            return static_cast<long>(port_of(bio).mtu_bytes);
        default:
            return 0;
    }
}

int create(BIO* bio) {
    BIO_set_init(bio, 1);
    return 1;
}

BIO_METHOD* make_method() {
    BIO_METHOD* method =
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "kollator datagram");
    if (method == nullptr) return nullptr;
    BIO_meth_set_write(method, write_bio);
    BIO_meth_set_read(method, read_bio);
    BIO_meth_set_ctrl(method, control);
    BIO_meth_set_create(method, create);
    return method;
}

}  // namespace

BioPtr make_datagram_bio(DatagramPort& port) {
    static BIO_METHOD* const method = make_method();  // one for the process; never freed
    if (method == nullptr) return nullptr;
    BioPtr bio(BIO_new(method));
    if (bio) BIO_set_data(bio.get(), &port);
    return bio;
}

}  // namespace kollator::rtc
