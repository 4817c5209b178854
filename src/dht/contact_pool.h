#pragma once

#include <deque>
#include <map>
#include <vector>

#include "dht/contact.h"

namespace kollator::dht {

/// Nodes that answered lately, all over the key space: where a look-up begins nearer to its key
/// than at the routing table, and not always at the same few nodes. The oldest go. One thread.
class ContactPool {
 public:
    static constexpr std::size_t kMaxContacts = 8192;  ///< about 150 bytes each

    void add(const Contact& contact);
    /// Some of the nearest to a key.
    void append_near(const InfoHash& key, std::vector<Contact>& out) const;
    std::size_t size() const { return contacts_.size(); }

 private:
    std::map<NodeId, Endpoint> contacts_;
    std::deque<NodeId> order_;  // each of contacts_ once, the oldest first
};

}  // namespace kollator::dht
