#include "dht/contact_pool.h"

#include <iterator>

namespace kollator::dht {
namespace {

/// In the order of their ids, the neighbours of a key on both sides: what is nearest by XOR is
/// among them, or as good.
constexpr int kEachSide = 6;

}  // namespace

void ContactPool::add(const Contact& contact) {
    if (!contacts_.insert_or_assign(contact.id, contact.at).second) return;
    order_.push_back(contact.id);
    if (order_.size() <= kMaxContacts) return;
    contacts_.erase(order_.front());
    order_.pop_front();
}

void ContactPool::append_near(const InfoHash& key, std::vector<Contact>& out) const {
    const auto middle = contacts_.lower_bound(NodeId(key.bytes()));
    auto at = middle;
    for (int i = 0; i < kEachSide && at != contacts_.begin(); ++i) --at;
    auto end = middle;
    for (int i = 0; i < kEachSide && end != contacts_.end(); ++i) ++end;
    for (; at != end; ++at) out.push_back({at->first, at->second});
}

}  // namespace kollator::dht
