#pragma once

#include "base/bytes.h"

struct socket;  // usrsctp's own

namespace kollator::rtc {

class UsrsctpAssociation;

/// Readies the library: once a process, for good. (It cannot be torn down reliably while closed
/// associations still wait for their last timers, and a second start has nothing to add.)
void init_usrsctp();

/// What usrsctp is given in place of an address: an integer, never used twice, so that output for
/// an association that is gone finds nothing instead of freed memory.
void* register_association(UsrsctpAssociation& association);
void unregister_association(void* handle);

/// A one-to-one socket whose callbacks reach the association of `handle`; null where usrsctp has
/// none.
struct socket* open_usrsctp_socket(void* handle);

}  // namespace kollator::rtc
