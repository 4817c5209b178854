#include "peer/dialer.h"

#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "peer/attempt.h"

namespace kollator::peer {

/// The ways of one call to dial(), one after the other.
struct Dialer::Impl {
    struct Call {
        Route route;
        std::deque<Way> ways;
        Done done;
        std::unique_ptr<Attempt> attempt;
    };

    Impl(EventLoop& the_loop, const Clock& clock, Random& random, rtc::Endpoint& endpoint,
         DialerOptions the_options)
        : loop(the_loop),
          options(std::move(the_options)),
          http(the_loop, options.ca_file),
          context{the_loop, clock, random, endpoint, options, http} {}

    void next(std::uint64_t number);
    void take(std::uint64_t number, Result<std::shared_ptr<Connection::Impl>> result);

    EventLoop& loop;
    const DialerOptions options;
    HttpClient http;
    const DialContext context;
    std::map<std::uint64_t, Call> calls;
    std::vector<std::unique_ptr<Attempt>> spent;  ///< until the loop's next turn
    std::uint64_t last_number = 0;
    std::shared_ptr<bool> alive = std::make_shared<bool>(true);
};

void Dialer::Impl::next(std::uint64_t number) {
    Call& call = calls.at(number);
    const Way way = call.ways.front();
    call.ways.pop_front();
    call.attempt = std::make_unique<Attempt>(
        context, call.route, way, [this, number](auto result) { take(number, std::move(result)); });
}

void Dialer::Impl::take(std::uint64_t number, Result<std::shared_ptr<Connection::Impl>> result) {
    Call& call = calls.at(number);
    // The attempt is what calls: it goes when it has returned.
    spent.push_back(std::move(call.attempt));
    loop.post([this, guard = std::weak_ptr(alive)] {
        if (!guard.expired()) spent.clear();
    });
    if (!result && !call.ways.empty()) {
        loop.post([this, number, guard = std::weak_ptr(alive)] {
            if (!guard.expired()) next(number);
        });
        return;
    }
    const Done done = std::move(call.done);
    calls.erase(number);
    if (!result) return done(result.error());
    done(std::make_unique<Connection>(std::move(*result)));
}

Dialer::Dialer(EventLoop& loop, const Clock& clock, Random& random, rtc::Endpoint& endpoint,
               DialerOptions options)
    : impl_(std::make_unique<Impl>(loop, clock, random, endpoint, std::move(options))) {}

Dialer::~Dialer() = default;

void Dialer::dial(Route route, Done done) {
    std::deque<Way> ways;
    if (!route.direct_address.empty()) ways.push_back(Way::kDirect);
    if (!route.worker_url.empty()) ways.push_back(Way::kHttp);
    if (!route.signaling_url.empty() && !route.worker_id.empty()) ways.push_back(Way::kSignaling);
    if (ways.empty()) {
        impl_->loop.post([done = std::move(done)] {
            done(make_error(ErrorCode::kInvalid, "there is no way to this worker"));
        });
        return;
    }
    const std::uint64_t number = ++impl_->last_number;
    impl_->calls.emplace(number,
                         Impl::Call{std::move(route), std::move(ways), std::move(done), nullptr});
    impl_->next(number);
}

HttpClient& Dialer::http() {
    return impl_->http;
}

}  // namespace kollator::peer
