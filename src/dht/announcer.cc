#include "dht/announcer.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace kollator::dht {
namespace {

/// How often stalled queries are looked for, in all runs at once.
constexpr std::chrono::milliseconds kSweepInterval{100};
/// Without a routing table nothing begins; then it is tried again so often.
constexpr std::chrono::seconds kBlockedPause{1};
/// With fewer of the remembered nodes alive the key's neighbourhood is looked for anew.
constexpr std::size_t kFewest = kClosest / 2;
/// A node that was dead may live again: its tag is forgotten in one cycle of so many.
constexpr std::uint32_t kForgetDeadIn = 2;
constexpr unsigned kMaxBackOffShift = 4;
constexpr std::uint8_t kLate = 1;  // KeyRecord::flags

std::uint32_t seconds(Duration duration) {
    return static_cast<std::uint32_t>(
        std::chrono::duration_cast<std::chrono::seconds>(duration).count());
}

/// Of 65,535; two nodes of one neighbourhood share one hardly ever, and then one is not asked.
std::uint16_t tag_of(const Endpoint& at) {
    std::array<std::uint8_t, 18> key{};
    std::copy(at.address.begin(), at.address.end(), key.begin());
    store_u16(key.data() + 16, at.port);
    return static_cast<std::uint16_t>(siphash(key) | 1U);
}

}  // namespace

Announcer::Announcer(QueryQueue& queue, Random& random, AnnouncerOptions options, Seeds seeds)
    : queue_(queue),
      random_(random),
      options_(std::move(options)),
      seeds_(std::move(seeds)),
      table_(options_.v6) {
    KOLLATOR_CHECK(seconds(options_.period) < kWheelSeconds);
}

Announcer::~Announcer() = default;

// --- which key when ------------------------------------------------------------------------------

std::uint32_t Announcer::second_of(TimePoint now) {
    if (epoch_ == TimePoint{}) {
        epoch_ = now;
        turned_s_ = 0;
    }
    return seconds(now - epoch_);
}

/// Of two seconds by chance the one with less to do: what came in a lump spreads out.
std::uint32_t Announcer::quietest(std::uint32_t from_s, std::uint32_t to_s) {
    const std::uint32_t span = to_s - from_s + 1;
    const std::uint32_t one = from_s + random_.u32() % span;
    const std::uint32_t other = from_s + random_.u32() % span;
    return wheel_[one % kWheelSeconds].count <= wheel_[other % kWheelSeconds].count ? one : other;
}

/// REQUIRES: it is in no line.
void Announcer::schedule(KeySlot slot, std::uint32_t due_s) {
    KeyRecord& record = table_.at(slot);
    record.due_s = std::max(due_s, turned_s_ + 1);
    record.state = KeyState::kWaiting;
    table_.append(wheel_[record.due_s % kWheelSeconds], &KeyRecord::line, slot);
}

KeyList& Announcer::line_of(const KeyRecord& record) {
    if (record.state == KeyState::kUrgent) return urgent_;
    if (record.state == KeyState::kDue) return due_;
    return wheel_[record.due_s % kWheelSeconds];
}

void Announcer::unschedule(KeySlot slot) {
    KeyRecord& record = table_.at(slot);
    if (record.state == KeyState::kRunning) return;
    table_.remove(line_of(record), &KeyRecord::line, slot);
}

void Announcer::put_in_line(KeySlot slot, KeyState state) {
    table_.at(slot).state = state;
    table_.append(state == KeyState::kUrgent ? urgent_ : due_, &KeyRecord::line, slot);
}

bool Announcer::add(TimePoint now, const InfoHash& key, When when) {
    const std::uint32_t second = second_of(now);
    KeySlot slot = table_.find(key);
    if (slot == kNoSlot) {
        if (table_.size() >= options_.max_keys) return false;
        slot = table_.insert(key);
        enter_age(slot, second);
        if (when == When::kSpread) {
            schedule(slot,
                     quietest(second, second + seconds(options_.period - options_.margin_least)));
        } else {
            put_in_line(slot, when == When::kUrgent ? KeyState::kUrgent : KeyState::kDue);
        }
        return true;
    }
    const KeyState state = table_.at(slot).state;
    if (when != When::kUrgent || state == KeyState::kUrgent || state == KeyState::kRunning) {
        return true;
    }
    unschedule(slot);
    put_in_line(slot, KeyState::kUrgent);
    return true;
}

void Announcer::remove(const InfoHash& key) {
    const KeySlot slot = table_.find(key);
    if (slot == kNoSlot) return;
    unschedule(slot);
    if (const auto run = runs_.find(slot); run != runs_.end()) {
        // It may be the lookup that is calling.
        ended_.push_back(std::move(run->second.lookup));
        runs_.erase(run);
    }
    leave_age(slot);
    table_.erase(slot);
}

std::size_t Announcer::hurry_all(TimePoint now) {
    (void)second_of(now);
    for (KeySlot slot = age_.first; slot != kNoSlot; slot = table_.at(slot).age.next) {
        if (table_.at(slot).state != KeyState::kWaiting) continue;
        unschedule(slot);
        put_in_line(slot, KeyState::kDue);
    }
    return table_.size();
}

// --- who is late ---------------------------------------------------------------------------------

void Announcer::enter_age(KeySlot slot, std::uint32_t second) {
    KeyRecord& record = table_.at(slot);
    record.since_s = second;
    record.flags = static_cast<std::uint8_t>(record.flags & ~kLate);
    table_.append(age_, &KeyRecord::age, slot);
    if (late_end_ == kNoSlot) late_end_ = slot;
}

void Announcer::leave_age(KeySlot slot) {
    const KeyRecord& record = table_.at(slot);
    if ((record.flags & kLate) != 0) --late_;
    if (late_end_ == slot) late_end_ = record.age.next;
    table_.remove(age_, &KeyRecord::age, slot);
}

void Announcer::note_late(std::uint32_t second) {
    while (late_end_ != kNoSlot) {
        KeyRecord& record = table_.at(late_end_);
        if (second - record.since_s <= seconds(options_.period)) return;
        record.flags |= kLate;
        ++late_;
        late_end_ = record.age.next;
    }
}

void Announcer::turn_wheel(std::uint32_t second) {
    // After a long sleep every slot is passed once.
    const std::uint32_t steps =
        std::min(second - turned_s_, static_cast<std::uint32_t>(kWheelSeconds));
    for (std::uint32_t i = 0; i < steps; ++i) {
        KeyList& slots = wheel_[(second - steps + 1 + i) % kWheelSeconds];
        while (slots.first != kNoSlot) {
            const KeySlot slot = slots.first;
            table_.remove(slots, &KeyRecord::line, slot);
            put_in_line(slot, KeyState::kDue);
        }
    }
    turned_s_ = second;
}

// --- runs ----------------------------------------------------------------------------------------

void Announcer::advance(TimePoint now) {
    ended_.clear();
    const std::uint32_t second = second_of(now);
    turn_wheel(second);
    note_late(second);
    if (now >= next_sweep_) {
        next_sweep_ = now + kSweepInterval;
        std::vector<std::pair<KeySlot, std::uint64_t>> under_way;
        under_way.reserve(runs_.size());
        for (const auto& [slot, run] : runs_) under_way.emplace_back(slot, run.serial);
        for (const auto& [slot, serial] : under_way) {
            Run* run = find_run(slot, serial);
            if (run != nullptr && run->lookup) run->lookup->advance(now);
        }
    }
    while (start_next(now)) {
    }
}

bool Announcer::start_next(TimePoint now) {
    if (urgent_.first == kNoSlot && due_.first == kNoSlot) return false;
    if (runs_.size() >= options_.max_runs || !queue_.has_room() || now < blocked_until_) {
        return false;
    }
    const bool urgent = urgent_.first != kNoSlot;
    KeyList& line = urgent ? urgent_ : due_;
    const KeySlot slot = line.first;
    const auto remembered = table_.contacts(slot);
    if (remembered.empty() && seeds_(table_.at(slot).key).empty()) {
        blocked_until_ = now + kBlockedPause;
        return false;
    }
    table_.remove(line, &KeyRecord::line, slot);
    table_.at(slot).state = KeyState::kRunning;
    Run& run = runs_[slot];
    run.serial = next_serial_++;
    run.key = table_.at(slot).key;
    run.began = now;
    run.priority = urgent ? Priority::kUrgent : Priority::kRoutine;
    look_up(now, slot, remembered);
    return true;
}

/// Without remembered nodes: from the routing table.
void Announcer::look_up(TimePoint now, KeySlot slot, const std::vector<Endpoint>& remembered) {
    Run& run = runs_.at(slot);
    run.iterative = remembered.empty();
    LookupOptions options;
    options.priority = run.priority;
    options.max_candidates = 40;
    options.max_peers = 0;
    if (!run.iterative) {
        options.max_widenings = 2;
        std::array<std::uint16_t, 4> dead{};
        std::copy(std::begin(table_.at(slot).dead), std::end(table_.at(slot).dead), dead.begin());
        options.skip = [dead](const Endpoint& at) {
            return std::find(dead.begin(), dead.end(), tag_of(at)) != dead.end();
        };
    }
    auto lookup = std::make_unique<Lookup>(
        queue_, run.key, options_.v6, std::move(options), nullptr,
        [this, slot, serial = run.serial](TimePoint then, LookupOutcome outcome) {
            on_looked_up(then, slot, serial, std::move(outcome));
        });
    Lookup& begun = *lookup;
    if (run.lookup) ended_.push_back(std::move(run.lookup));
    run.lookup = std::move(lookup);
    if (run.iterative) {
        std::vector<Contact> seeds = seeds_(run.key);
        pool_.append_near(run.key, seeds);
        begun.start(now, seeds);
    } else {
        begun.start_at(now, remembered);
    }
}

void Announcer::on_looked_up(TimePoint now, KeySlot slot, std::uint64_t serial,
                             LookupOutcome outcome) {
    Run* run = find_run(slot, serial);
    if (run == nullptr) return;
    run->queries += outcome.queries;
    if (!run->iterative && outcome.closest.size() < kFewest) {
        table_.at(slot).contacts = 0;
        return look_up(now, slot, {});
    }
    for (const Responder& responder : outcome.closest) pool_.add(responder.contact);
    run->outcome = std::move(outcome);
    announce(now, slot, *run);
}

void Announcer::announce(TimePoint now, KeySlot slot, Run& run) {
    for (const Responder& responder : run.outcome.closest) {
        if (responder.token.empty()) continue;  // it is full, or does not want us
        ++run.open;
        ++run.queries;
        Query query{QueryKind::kAnnouncePeer, run.key, responder.token, options_.port};
        queue_.send(now, responder.contact.at, std::move(query), run.priority,
                    [this, alive = std::weak_ptr<int>(alive_), slot, serial = run.serial](
                        TimePoint then, const Result<Reply>& reply) {
                        if (!alive.expired()) on_announced(then, slot, serial, reply.ok());
                    });
    }
    if (run.open == 0) end_run(now, slot);
}

void Announcer::on_announced(TimePoint now, KeySlot slot, std::uint64_t serial, bool acknowledged) {
    if (acknowledged) {
        ++stats_.acknowledged;
    } else {
        ++stats_.refused;
    }
    Run* run = find_run(slot, serial);
    if (run == nullptr) return;
    if (acknowledged) ++run->acknowledged;
    if (--run->open == 0) end_run(now, slot);
}

void Announcer::end_run(TimePoint now, KeySlot slot) {
    const auto found = runs_.find(slot);
    Run run = std::move(found->second);
    runs_.erase(found);
    ended_.push_back(std::move(run.lookup));
    stats_.queries += run.queries;
    const std::uint32_t second = second_of(now);
    KeyRecord& record = table_.at(slot);
    if (options_.remember) {
        table_.set_contacts(slot, run.outcome.closest);
        remember_dead(record, run.outcome.dead);
    }
    if (options_.on_run) {
        options_.on_run({run.acknowledged > 0, run.iterative, run.queries, now - run.began});
    }
    if (run.acknowledged > 0) {
        ++stats_.announced;
        record.failures = 0;
        leave_age(slot);
        enter_age(slot, second);
        const std::uint32_t latest = second + seconds(options_.period - options_.margin_least);
        const std::uint32_t earliest = second + seconds(options_.period - options_.margin_most);
        return schedule(slot, quietest(earliest, latest));
    }
    ++stats_.failed;
    const unsigned shift = std::min<unsigned>(record.failures, kMaxBackOffShift);
    record.failures = static_cast<std::uint8_t>(std::min(record.failures + 1, 255));
    const std::uint32_t pause = seconds(options_.retry) << shift;
    schedule(slot, quietest(second + pause / 2, second + pause));
}

void Announcer::remember_dead(KeyRecord& record, const std::vector<Endpoint>& dead) {
    for (std::uint16_t& tag : record.dead) {
        if (random_.u32() % kForgetDeadIn == 0) tag = 0;
    }
    std::size_t next = 0;
    for (const Endpoint& at : dead) {
        while (next < std::size(record.dead) && record.dead[next] != 0) ++next;
        if (next == std::size(record.dead)) return;
        record.dead[next] = tag_of(at);
    }
}

Announcer::Run* Announcer::find_run(KeySlot slot, std::uint64_t serial) {
    const auto found = runs_.find(slot);
    return found == runs_.end() || found->second.serial != serial ? nullptr : &found->second;
}

TimePoint Announcer::next_due(TimePoint now) const {
    if (table_.size() == 0) return TimePoint::max();
    if (!ended_.empty()) return now;
    // The wheel's next second, and below it what waits for room: that is looked at as often as the
    // queue has moved, and no later than at the next sweep.
    TimePoint due = epoch_ + std::chrono::seconds(turned_s_ + 1);
    const bool waiting = urgent_.first != kNoSlot || due_.first != kNoSlot;
    if (waiting && runs_.size() < options_.max_runs && queue_.has_room()) {
        due = std::min(due, std::max(now, blocked_until_));
    }
    if (!runs_.empty()) due = std::min(due, std::max(now, next_sweep_));
    return due;
}

AnnouncerStats Announcer::stats(TimePoint now) {
    const std::uint32_t second = second_of(now);
    note_late(second);
    AnnouncerStats stats = stats_;
    stats.keys = table_.size();
    stats.running = runs_.size();
    stats.due = urgent_.count + due_.count + runs_.size();
    stats.late = late_;
    if (age_.first != kNoSlot) {
        stats.oldest = std::chrono::seconds(second - table_.at(age_.first).since_s);
    }
    stats.memory_bytes = table_.memory_bytes();
    return stats;
}

}  // namespace kollator::dht
