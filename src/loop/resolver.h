#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "loop/event_loop.h"

namespace kollator {

/// Host names to addresses, as the system resolves them, off the loop's thread. Loop thread only.
class Resolver {
 public:
    /// Numeric addresses, v4 and v6, in the system's order; at least one.
    using Addresses = std::vector<std::string>;
    using Done = std::function<void(Result<Addresses>)>;

    explicit Resolver(EventLoop& loop);
    /// What is under way does not call back any more.
    ~Resolver();
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;

    /// `host`: a name or a numeric address, without brackets. `done` runs once on the loop, never
    /// before this returned. kUnavailable: the name has no address, or no server told. One query
    /// runs at a time, so that a dead DNS server holds up those behind it: the owner bounds how
    /// many it asks for.
    void resolve(const std::string& host, Done done);

 private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace kollator
