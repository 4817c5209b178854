#include "rtc/peer_hub.h"

#include <fmt/format.h>

#include <limits>
#include <utility>

#include "rtc/hub/local_hub.h"
#include "rtc/hub/shard.h"
#include "rtc/hub/sharded_hub.h"

namespace kollator::rtc {

namespace {

/// Of the budget for what is buffered: what is on its way from one thread to another. The rest is
/// for the shards' stacks.
constexpr std::size_t kCrossingShare = 4;

Status check(const EndpointOptions& options, std::size_t shards) {
    if (options.sctp == SctpImplementation::kUsrsctp) {
        return make_error(ErrorCode::kInvalid,
                          "usrsctp has one state for the whole process: it cannot serve several "
                          "shards");
    }
    const std::size_t last = options.port + shards - 1;
    if (options.port != 0 && last > std::numeric_limits<std::uint16_t>::max()) {
        return make_error(ErrorCode::kInvalid, fmt::format("{} shards want the ports {} to {}",
                                                           shards, options.port, last));
    }
    return {};
}

Result<std::unique_ptr<PeerHub>> open_sharded(EventLoop& loop, const Clock& clock, Random& random,
                                              const Certificate& certificate,
                                              EndpointOptions options, std::size_t shards) {
    if (Status good = check(options, shards); !good.ok()) return good.error();
    auto count = std::make_unique<hub::ConnectionCount>(options.max_connections);
    const std::size_t crossing_bytes = options.buffer_budget_bytes / kCrossingShare;
    options.buffer_budget_bytes = (options.buffer_budget_bytes - crossing_bytes) / shards;
    options.direct.max_pending = rtc::max_pending(options) / shards;
    std::vector<std::unique_ptr<hub::Shard>> opened;
    for (std::size_t i = 0; i < shards; ++i) {
        auto shard =
            hub::Shard::open(clock, random, certificate, options, *count, crossing_bytes / shards);
        if (!shard.ok()) return shard.error();
        opened.push_back(std::move(*shard));
        if (options.port != 0) ++options.port;
    }
    return std::unique_ptr<PeerHub>(std::make_unique<hub::ShardedHub>(
        loop, std::move(count), std::move(opened), crossing_bytes));
}

}  // namespace

Result<std::unique_ptr<PeerHub>> open_peer_hub(EventLoop& loop, const Clock& clock, Random& random,
                                               const Certificate& certificate,
                                               EndpointOptions options, std::size_t shards) {
    if (shards > 1) {
        return open_sharded(loop, clock, random, certificate, std::move(options), shards);
    }
    auto endpoint = open_endpoint(loop, clock, random, certificate, std::move(options));
    if (!endpoint.ok()) return endpoint.error();
    return std::unique_ptr<PeerHub>(std::make_unique<hub::LocalHub>(std::move(*endpoint)));
}

}  // namespace kollator::rtc
