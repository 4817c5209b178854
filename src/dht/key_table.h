#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/ids.h"
#include "dht/contact.h"
#include "dht/lookup.h"

namespace kollator::dht {

/// A place in a KeyTable. Taken again after the key is gone.
using KeySlot = std::uint32_t;
inline constexpr KeySlot kNoSlot = UINT32_MAX;

/// Lists through the records of a table: a record is in at most one of each chain.
struct KeyLink {
    KeySlot previous = kNoSlot;
    KeySlot next = kNoSlot;
};
struct KeyList {
    KeySlot first = kNoSlot;
    KeySlot last = kNoSlot;
    std::uint32_t count = 0;
};

enum class KeyState : std::uint8_t {
    kFree,
    kWaiting,  ///< in a slot of the wheel
    kUrgent,   ///< in the line of those that go first
    kDue,      ///< in the line
    kRunning,
};

/// What an announcer remembers of a key. The contacts stand behind it in the table's block: 8 of 6
/// bytes (IPv4) or 18 (IPv6).
struct KeyRecord {
    InfoHash key;                // 20
    KeyLink line;                // 8: the wheel's slot, or a line
    KeyLink age;                 // 8: all, ordered by `since_s`
    std::uint32_t due_s = 0;     // 4
    std::uint32_t since_s = 0;   // 4: the last announcement, or when it was added
    std::uint16_t dead[4] = {};  // 8: tags of nodes near the key that did not answer; 0: none
    std::uint8_t contacts = 0;   // how many are remembered
    std::uint8_t failures = 0;   // runs without an acknowledgement, one after the other
    KeyState state = KeyState::kFree;
    std::uint8_t flags = 0;
};

/// Names to records, compactly: a million keys are a million of these. Open addressing over record
/// numbers, records in blocks that never move. A keyed hash: strangers choose chunks' names.
class KeyTable {
 public:
    explicit KeyTable(bool v6);

    KeySlot find(const InfoHash& key) const;
    /// REQUIRES: it is not there; there are under 2^31 keys.
    KeySlot insert(const InfoHash& key);
    /// REQUIRES: it is in no list.
    void erase(KeySlot slot);

    KeyRecord& at(KeySlot slot);
    const KeyRecord& at(KeySlot slot) const;
    std::vector<Endpoint> contacts(KeySlot slot) const;
    void set_contacts(KeySlot slot, const std::vector<Responder>& responders);

    std::size_t size() const { return size_; }
    std::size_t memory_bytes() const;

    /// The most that a key takes, past the first few thousand: the record of 56 bytes, 8 contacts
    /// of 6 or 18, and 1/0.375 places of 4 bytes in an index that has just doubled.
    static constexpr std::size_t kMaxBytesPerKeyV4 = 56 + 8 * 6 + 11;
    static constexpr std::size_t kMaxBytesPerKeyV6 = 56 + 8 * 18 + 11;

    // Lists, by the member that links them.
    void append(KeyList& list, KeyLink KeyRecord::*link, KeySlot slot);
    void remove(KeyList& list, KeyLink KeyRecord::*link, KeySlot slot);

 private:
    static constexpr std::size_t kBlockRecords = 1024;

    std::size_t place_of(const InfoHash& key) const;
    void grow();

    const std::size_t stride_bytes_;
    const std::size_t contact_bytes_;
    std::vector<std::unique_ptr<std::uint8_t[]>> blocks_;
    std::vector<KeySlot> index_;  // kNoSlot: empty
    KeySlot used_ = 0;            // records ever taken
    KeySlot free_ = kNoSlot;      // chain through line.next
    std::size_t size_ = 0;
};

}  // namespace kollator::dht
