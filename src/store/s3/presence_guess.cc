#include "store/s3/presence_guess.h"

namespace kollator::store::s3 {

bool PresenceGuess::should_ask(std::size_t body_bytes, bool server_tells) {
    if (body_bytes < kMinBodyBytes) return false;
    if (share_ >= 0.5) return true;
    if (server_tells || ++since_sample_ < kSampleEvery) return false;
    since_sample_ = 0;
    return true;
}

}  // namespace kollator::store::s3
