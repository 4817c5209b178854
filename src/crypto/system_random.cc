#include "crypto/system_random.h"

#include <openssl/rand.h>

#include "base/check.h"

namespace kollator::crypto {
namespace {

class SystemRandom final : public Random {
 public:
    void fill(MutableByteSpan out) override {
        KOLLATOR_CHECK(RAND_bytes(out.data(), static_cast<int>(out.size())) == 1);
    }
};

}  // namespace

Random& system_random() {
    static SystemRandom instance;
    return instance;
}

}  // namespace kollator::crypto
