#include "dht/key_table.h"

#include <algorithm>
#include <new>

#include "base/check.h"

namespace kollator::dht {
namespace {

constexpr std::size_t kFirstIndex = 1024;  // a power of two

constexpr std::size_t round_up(std::size_t bytes, std::size_t to) {
    return (bytes + to - 1) / to * to;
}

}  // namespace

KeyTable::KeyTable(bool v6)
    : stride_bytes_(round_up(
          sizeof(KeyRecord) + kClosest * (v6 ? Endpoint::kCompactV6 : Endpoint::kCompactV4),
          alignof(KeyRecord))),
      contact_bytes_(v6 ? Endpoint::kCompactV6 : Endpoint::kCompactV4),
      index_(kFirstIndex, kNoSlot) {}

KeyRecord& KeyTable::at(KeySlot slot) {
    std::uint8_t* const block = blocks_[slot / kBlockRecords].get();
    return *std::launder(
        reinterpret_cast<KeyRecord*>(block + (slot % kBlockRecords) * stride_bytes_));
}

const KeyRecord& KeyTable::at(KeySlot slot) const {
    return const_cast<KeyTable&>(*this).at(slot);
}

/// Where the key is in the index, or where it would go.
std::size_t KeyTable::place_of(const InfoHash& key) const {
    std::size_t place = siphash(key.span()) & (index_.size() - 1);
    while (index_[place] != kNoSlot && at(index_[place]).key != key) {
        place = (place + 1) & (index_.size() - 1);
    }
    return place;
}

KeySlot KeyTable::find(const InfoHash& key) const {
    return index_[place_of(key)];
}

void KeyTable::grow() {
    std::vector<KeySlot> old(index_.size() * 2, kNoSlot);
    old.swap(index_);
    for (const KeySlot slot : old) {
        if (slot != kNoSlot) index_[place_of(at(slot).key)] = slot;
    }
}

KeySlot KeyTable::insert(const InfoHash& key) {
    if ((size_ + 1) * 4 > index_.size() * 3) grow();
    KeySlot slot = free_;
    if (slot != kNoSlot) {
        free_ = at(slot).line.next;
    } else {
        slot = used_++;
        if (slot / kBlockRecords == blocks_.size()) {
            blocks_.push_back(std::make_unique<std::uint8_t[]>(kBlockRecords * stride_bytes_));
        }
    }
    std::uint8_t* const raw =
        blocks_[slot / kBlockRecords].get() + (slot % kBlockRecords) * stride_bytes_;
    KeyRecord* const record = new (raw) KeyRecord();
    record->key = key;
    const std::size_t place = place_of(key);
    KOLLATOR_CHECK(index_[place] == kNoSlot);
    index_[place] = slot;
    ++size_;
    return slot;
}

void KeyTable::erase(KeySlot slot) {
    const std::size_t mask = index_.size() - 1;
    std::size_t hole = place_of(at(slot).key);
    KOLLATOR_CHECK(index_[hole] == slot);
    index_[hole] = kNoSlot;
    // Those behind that were pushed past the hole move into it.
    for (std::size_t next = (hole + 1) & mask; index_[next] != kNoSlot; next = (next + 1) & mask) {
        const std::size_t home = siphash(at(index_[next]).key.span()) & mask;
        if (((next - home) & mask) < ((next - hole) & mask)) continue;
        index_[hole] = index_[next];
        index_[next] = kNoSlot;
        hole = next;
    }
    KeyRecord& record = at(slot);
    record = KeyRecord();
    record.line.next = free_;
    free_ = slot;
    --size_;
}

std::vector<Endpoint> KeyTable::contacts(KeySlot slot) const {
    const KeyRecord& record = at(slot);
    const auto* const raw = reinterpret_cast<const std::uint8_t*>(&record) + sizeof(KeyRecord);
    std::vector<Endpoint> endpoints;
    for (std::size_t i = 0; i < record.contacts; ++i) {
        endpoints.push_back(*Endpoint::from_compact({raw + i * contact_bytes_, contact_bytes_}));
    }
    return endpoints;
}

void KeyTable::set_contacts(KeySlot slot, const std::vector<Responder>& responders) {
    KeyRecord& record = at(slot);
    auto* const raw = reinterpret_cast<std::uint8_t*>(&record) + sizeof(KeyRecord);
    record.contacts = static_cast<std::uint8_t>(std::min(responders.size(), kClosest));
    for (std::size_t i = 0; i < record.contacts; ++i) {
        responders[i].contact.at.to_compact({raw + i * contact_bytes_, contact_bytes_});
    }
}

std::size_t KeyTable::memory_bytes() const {
    return blocks_.size() * kBlockRecords * stride_bytes_ + index_.capacity() * sizeof(KeySlot);
}

void KeyTable::append(KeyList& list, KeyLink KeyRecord::*link, KeySlot slot) {
    (at(slot).*link) = {list.last, kNoSlot};
    if (list.last == kNoSlot) {
        list.first = slot;
    } else {
        (at(list.last).*link).next = slot;
    }
    list.last = slot;
    ++list.count;
}

void KeyTable::remove(KeyList& list, KeyLink KeyRecord::*link, KeySlot slot) {
    const KeyLink links = at(slot).*link;
    if (links.previous == kNoSlot) {
        list.first = links.next;
    } else {
        (at(links.previous).*link).next = links.next;
    }
    if (links.next == kNoSlot) {
        list.last = links.previous;
    } else {
        (at(links.next).*link).previous = links.previous;
    }
    (at(slot).*link) = {};
    --list.count;
}

}  // namespace kollator::dht
