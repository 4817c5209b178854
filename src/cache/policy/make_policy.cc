#include <array>
#include <utility>

#include "cache/policy/lru_policy.h"
#include "cache/policy/s3_fifo_policy.h"
#include "cache/policy/session_policy.h"
#include "cache/policy/tiny_lfu_policy.h"

namespace kollator::cache {
namespace {

constexpr std::array<std::pair<PolicyKind, std::string_view>, 4> kNames = {{
    {PolicyKind::kLru, "lru"},
    {PolicyKind::kS3Fifo, "s3-fifo"},
    {PolicyKind::kTinyLfu, "w-tinylfu"},
    {PolicyKind::kSessionAware, "session-aware"},
}};

}  // namespace

std::string_view name_of(PolicyKind kind) {
    for (const auto& [known, name] : kNames) {
        if (known == kind) return name;
    }
    return "";
}

std::optional<PolicyKind> policy_named(std::string_view name) {
    for (const auto& [kind, known] : kNames) {
        if (known == name) return kind;
    }
    return std::nullopt;
}

std::unique_ptr<EvictionPolicy> make_policy(PolicyKind kind, std::uint64_t max_bytes,
                                            SlotFinder find_slot) {
    switch (kind) {
        case PolicyKind::kLru:
            return std::make_unique<LruPolicy>();
        case PolicyKind::kS3Fifo:
            return std::make_unique<S3FifoPolicy>(max_bytes);
        case PolicyKind::kTinyLfu:
            return std::make_unique<TinyLfuPolicy>(max_bytes);
        case PolicyKind::kSessionAware:
            return std::make_unique<SessionPolicy>(max_bytes, std::move(find_slot));
    }
    return nullptr;
}

}  // namespace kollator::cache
