#pragma once

#include <gtest/gtest.h>

#include <string>

#include "base/random.h"
#include "rtc/sctp/sctp_association.h"

namespace kollator::rtc::testing {

/// Runs a test once with each implementation of SCTP; to be instantiated by KOLLATOR_BOTH_STACKS.
class BothStacks : public ::testing::TestWithParam<SctpImplementation> {
 public:
    static std::string name(const ::testing::TestParamInfo<SctpImplementation>& info) {
        return info.param == SctpImplementation::kOwn ? "Own" : "Usrsctp";
    }
};

inline std::unique_ptr<SctpStack> make_stack(SctpImplementation sctp, Random& random,
                                             const SctpStackOptions& options = {}) {
    return sctp == SctpImplementation::kOwn ? make_sctp_stack(random, options)
                                            : make_usrsctp_stack(options);
}

}  // namespace kollator::rtc::testing

#define KOLLATOR_BOTH_STACKS(suite)                                                            \
    INSTANTIATE_TEST_SUITE_P(Both, suite,                                                      \
                             ::testing::Values(::kollator::rtc::SctpImplementation::kOwn,      \
                                               ::kollator::rtc::SctpImplementation::kUsrsctp), \
                             ::kollator::rtc::testing::BothStacks::name)
