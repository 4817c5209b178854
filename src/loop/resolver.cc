#include "loop/resolver.h"

#include <boost/asio/ip/udp.hpp>

#include "loop/asio_access.h"

namespace kollator {

namespace {

using Udp = boost::asio::ip::udp;

}  // namespace

struct Resolver::Impl {
    explicit Impl(EventLoop& loop) : resolver(io_context_of(loop)) {}
    Udp::resolver resolver;
    bool alive = true;
};

Resolver::Resolver(EventLoop& loop) : impl_(std::make_shared<Impl>(loop)) {}

Resolver::~Resolver() {
    impl_->alive = false;
    impl_->resolver.cancel();
}

void Resolver::resolve(const std::string& host, Done done) {
    impl_->resolver.async_resolve(
        host, "",
        [impl = impl_, host, done = std::move(done)](const boost::system::error_code& error,
                                                     Udp::resolver::results_type found) {
            if (!impl->alive) return;
            Addresses addresses;
            for (const auto& entry : found) {
                boost::system::error_code ignored;
                addresses.push_back(entry.endpoint().address().to_string(ignored));
            }
            if (error || addresses.empty()) {
                const std::string why = error ? error.message() : "no address";
                return done(make_error(ErrorCode::kUnavailable, host + ": " + why));
            }
            done(std::move(addresses));
        });
}

}  // namespace kollator
