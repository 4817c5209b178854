#pragma once

#include "base/result.h"
#include "protocol/message.h"

namespace kollator::peer {

/// A worker's refusal as an error of ours (the table stands at Done, requests.h).
Error to_error(const protocol::ErrorBody& refusal);

}  // namespace kollator::peer
