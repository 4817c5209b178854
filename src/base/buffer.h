#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

#include "base/bytes.h"

namespace kollator {

/// A bound on the bytes that some purpose may hold at once. Thread-safe. Outlives its leases.
class ByteBudget {
 public:
    explicit ByteBudget(std::size_t limit_bytes) : limit_bytes_(limit_bytes) {}
    ByteBudget(const ByteBudget&) = delete;
    ByteBudget& operator=(const ByteBudget&) = delete;

    /// Gives its bytes back when it goes. Movable; an empty one holds nothing.
    class Lease {
     public:
        Lease() = default;
        Lease(Lease&& other) noexcept
            : budget_(std::exchange(other.budget_, nullptr)),
              size_bytes_(std::exchange(other.size_bytes_, 0)) {}
        Lease& operator=(Lease&& other) noexcept {
            std::swap(budget_, other.budget_);
            std::swap(size_bytes_, other.size_bytes_);
            return *this;
        }
        ~Lease() {
            if (budget_ != nullptr) budget_->used_bytes_.fetch_sub(size_bytes_);
        }
        explicit operator bool() const { return budget_ != nullptr; }
        std::size_t size_bytes() const { return size_bytes_; }

     private:
        friend class ByteBudget;
        Lease(ByteBudget* budget, std::size_t size_bytes)
            : budget_(budget), size_bytes_(size_bytes) {}

        ByteBudget* budget_ = nullptr;
        std::size_t size_bytes_ = 0;
    };

    /// An empty lease where the limit would be passed.
    Lease try_acquire(std::size_t size_bytes) {
        std::size_t used = used_bytes_.load();
        do {
            if (size_bytes > limit_bytes_ || used > limit_bytes_ - size_bytes) return {};
        } while (!used_bytes_.compare_exchange_weak(used, used + size_bytes));
        return Lease(this, size_bytes);
    }

    std::size_t used_bytes() const { return used_bytes_.load(); }
    std::size_t limit_bytes() const { return limit_bytes_; }

 private:
    const std::size_t limit_bytes_;
    std::atomic<std::size_t> used_bytes_{0};
};

/// A block of uninitialised bytes that may hold a lease for them.
class Buffer {
 public:
    explicit Buffer(std::size_t size_bytes, ByteBudget::Lease lease = {})
        : data_(std::make_unique_for_overwrite<std::uint8_t[]>(size_bytes)),
          size_bytes_(size_bytes),
          lease_(std::move(lease)) {}

    std::uint8_t* data() { return data_.get(); }
    const std::uint8_t* data() const { return data_.get(); }
    std::size_t size() const { return size_bytes_; }
    MutableByteSpan span() { return {data_.get(), size_bytes_}; }
    ByteSpan span() const { return {data_.get(), size_bytes_}; }
    /// Its bytes are of somebody's bounded memory: not to be held for long.
    bool leased() const { return static_cast<bool>(lease_); }

 private:
    std::unique_ptr<std::uint8_t[]> data_;
    std::size_t size_bytes_;
    ByteBudget::Lease lease_;
};

/// Shared by everyone who still reads it: sessions, the cache's writer, an upload.
using SharedBuffer = std::shared_ptr<const Buffer>;

/// A piece of a shared buffer that keeps the whole alive.
struct BufferSlice {
    SharedBuffer owner;
    ByteSpan bytes;
};

}  // namespace kollator
