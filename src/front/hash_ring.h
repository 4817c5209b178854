#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace kollator::front {

/// Consistent hashing: each node stands at many points of a ring of 2^64; a key belongs to the node
/// at the first point after the key's own. A node that comes or goes moves only the keys next to
/// its points. Every front computes the same ring from the same names, without talking to the
/// others.
class HashRing {
 public:
    /// protocol.md, 1.2: "150 virtual nodes a worker".
    static constexpr std::size_t kVirtualNodes = 150;

    /// Adding a node that is there, or removing one that is not, changes nothing.
    void add(const std::string& node);
    void remove(const std::string& node);

    /// Up to `limit` different nodes that `accept` takes, in the ring's order from `key` on: the
    /// first is the key's owner, the second takes over when that one goes.
    std::vector<std::string> nodes_for(std::string_view key, std::size_t limit,
                                       const std::function<bool(const std::string&)>& accept) const;

    std::size_t points() const { return ring_.size(); }

 private:
    std::map<std::uint64_t, std::string> ring_;
};

}  // namespace kollator::front
