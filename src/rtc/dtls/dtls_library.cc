#include "rtc/dtls/dtls_library.h"

#include <openssl/core_dispatch.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "base/log.h"

namespace kollator::rtc {
namespace {

const log::Logger kLog("rtc");

constexpr char kBase[] = "default";
constexpr char kSubset[] = "kollator-dtls";

/// What of the default provider is taken, by the first of each algorithm's names: what the cipher
/// suites and groups in dtls_context.cc need, and keys that certificates of peers have.
struct Taken {
    int operation;
    std::vector<std::string_view> names;
    std::string_view property;  ///< that they must have, too
};
const std::array<Taken, 9>& taken_operations() {
    static const std::array<Taken, 9> operations{{
        {OSSL_OP_DIGEST, {"SHA1", "SHA2-256", "SHA2-384", "SHA2-512"}, ""},
        {OSSL_OP_CIPHER, {"AES-128-GCM", "AES-256-GCM"}, ""},
        {OSSL_OP_MAC, {"HMAC"}, ""},
        {OSSL_OP_KDF, {"TLS1-PRF"}, ""},
        {OSSL_OP_RAND, {"CTR-DRBG", "SEED-SRC"}, ""},
        {OSSL_OP_KEYEXCH, {"ECDH", "X25519"}, ""},
        {OSSL_OP_SIGNATURE, {"ECDSA", "RSA", "ED25519"}, ""},
        {OSSL_OP_KEYMGMT, {"EC", "RSA", "ED25519", "X25519"}, ""},
        {OSSL_OP_DECODER, {"EC", "RSA", "ED25519"}, "input=der,structure=SubjectPublicKeyInfo"},
    }};
    return operations;
}

std::string_view first_name(const OSSL_ALGORITHM& algorithm) {
    const std::string_view names(algorithm.algorithm_names);
    return names.substr(0, names.find(':'));
}

bool is_taken(const Taken& taken, const OSSL_ALGORITHM& algorithm) {
    return std::find(taken.names.begin(), taken.names.end(), first_name(algorithm)) !=
               taken.names.end() &&
           std::string_view(algorithm.property_definition).find(taken.property) !=
               std::string_view::npos;
}

/// The default provider's check of EC keys.
OSSL_FUNC_keymgmt_validate_fn*& base_validate() {
    static OSSL_FUNC_keymgmt_validate_fn* function = nullptr;
    return function;
}

/// libssl has each peer's ephemeral key checked in full: that the order of its group times the
/// point is infinity, which costs as much as the key agreement. Our groups have cofactor 1 (SEC
/// 2, 2.4.2 and 2.5.1): every point of the curve but infinity has that order. The quick check
/// refuses what is infinity or not on the curve.
int validate_quickly(const void* key, int selection, int) {
    return base_validate()(key, selection, OSSL_KEYMGMT_VALIDATE_QUICK_CHECK);
}

/// provider-keymgmt(7): `entry` with validate_quickly().
OSSL_ALGORITHM with_quick_check(const OSSL_ALGORITHM& entry) {
    static std::vector<OSSL_DISPATCH> functions;
    functions.clear();
    for (const OSSL_DISPATCH* each = entry.implementation; each->function_id != 0; ++each) {
        functions.push_back(*each);
        if (each->function_id != OSSL_FUNC_KEYMGMT_VALIDATE) continue;
        base_validate() = OSSL_FUNC_keymgmt_validate(each);
        functions.back().function = reinterpret_cast<void (*)()>(validate_quickly);
    }
    functions.push_back({0, nullptr});
    OSSL_ALGORITHM quick = entry;
    quick.implementation = functions.data();
    return quick;
}

/// provider-base(7): a provider whose algorithms are some of another's, and work on its context.
class Subset {
 public:
    /// `base` is not ours to free. False: it lacks something.
    bool take_from(const OSSL_PROVIDER* base) {
        base_ = base;
        bool whole = true;
        for (const Taken& taken : taken_operations()) {
            int no_cache = 0;
            auto& own = algorithms_[static_cast<std::size_t>(taken.operation)];
            const OSSL_ALGORITHM* each =
                OSSL_PROVIDER_query_operation(base, taken.operation, &no_cache);
            for (; each != nullptr && each->algorithm_names != nullptr; ++each) {
                if (!is_taken(taken, *each)) continue;
                const bool curve = taken.operation == OSSL_OP_KEYMGMT && first_name(*each) == "EC";
                own.push_back(curve ? with_quick_check(*each) : *each);
            }
            whole = whole && own.size() == taken.names.size();
            own.push_back({});  // the end
        }
        return whole;
    }

    const OSSL_ALGORITHM* of(int operation) const {
        const auto& found = algorithms_[static_cast<std::size_t>(operation)];
        return found.empty() ? nullptr : found.data();
    }
    const OSSL_PROVIDER* base() const { return base_; }

 private:
    const OSSL_PROVIDER* base_ = nullptr;
    std::array<std::vector<OSSL_ALGORITHM>, OSSL_OP__HIGHEST + 1> algorithms_;
};

Subset& subset() {
    static Subset instance;
    return instance;
}

const OSSL_ALGORITHM* query_operation(void*, int operation, int* no_cache) {
    *no_cache = 0;
    return operation > 0 && operation <= OSSL_OP__HIGHEST ? subset().of(operation) : nullptr;
}

/// The groups and signature schemes of TLS.
int get_capabilities(void*, const char* capability, OSSL_CALLBACK* callback, void* argument) {
    return OSSL_PROVIDER_get_capabilities(subset().base(), capability, callback, argument);
}

int start_provider(const OSSL_CORE_HANDLE*, const OSSL_DISPATCH*, const OSSL_DISPATCH** functions,
                   void** context) {
    static const OSSL_DISPATCH kFunctions[] = {
        {OSSL_FUNC_PROVIDER_QUERY_OPERATION, reinterpret_cast<void (*)()>(query_operation)},
        {OSSL_FUNC_PROVIDER_GET_CAPABILITIES, reinterpret_cast<void (*)()>(get_capabilities)},
        {0, nullptr}};
    *functions = kFunctions;
    *context = OSSL_PROVIDER_get0_provider_ctx(subset().base());
    return 1;
}

OSSL_LIB_CTX* make_library() {
    if (EVP_default_properties_is_fips_enabled(nullptr) == 1 ||
        OSSL_PROVIDER_available(nullptr, kBase) != 1) {
        return nullptr;
    }
    const OSSL_PROVIDER* const base = OSSL_PROVIDER_load(nullptr, kBase);
    if (base == nullptr || !subset().take_from(base)) return nullptr;
    OSSL_LIB_CTX* const library = OSSL_LIB_CTX_new();
    if (library != nullptr && OSSL_PROVIDER_add_builtin(library, kSubset, start_provider) == 1 &&
        OSSL_PROVIDER_load(library, kSubset) != nullptr) {
        return library;
    }
    OSSL_LIB_CTX_free(library);
    return nullptr;
}

}  // namespace

OSSL_LIB_CTX* dtls_library() {
    static OSSL_LIB_CTX* const library = [] {
        OSSL_LIB_CTX* const made = make_library();
        if (made == nullptr) kLog.info("event=dtls-library-whole");
        ERR_clear_error();
        return made;
    }();
    return library;
}

}  // namespace kollator::rtc
