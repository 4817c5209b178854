#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace kollator::rtc::sctp {

/// A queue with access by index, in one block that grows to a power of two; none while it has never
/// held anything (a std::deque takes 600 bytes), which thousands of idle associations feel.
template <typename T>
class Ring {
 public:
    bool empty() const { return size_ == 0; }
    std::size_t size() const { return size_; }
    T& operator[](std::size_t index) { return slots_[(head_ + index) & (slots_.size() - 1)]; }
    const T& operator[](std::size_t index) const {
        return slots_[(head_ + index) & (slots_.size() - 1)];
    }
    /// REQUIRES: !empty(), here and below.
    T& front() { return slots_[head_]; }
    T& back() { return (*this)[size_ - 1]; }
    void push_back(T value) {
        if (size_ == slots_.size()) grow();
        (*this)[size_++] = std::move(value);
    }
    void pop_front() {
        slots_[head_] = T();
        head_ = (head_ + 1) & (slots_.size() - 1);
        --size_;
    }
    void clear() {
        slots_ = {};
        head_ = size_ = 0;
    }

 private:
    void grow() {
        std::vector<T> larger(slots_.empty() ? 4 : 2 * slots_.size());
        for (std::size_t i = 0; i < size_; ++i) larger[i] = std::move((*this)[i]);
        slots_ = std::move(larger);
        head_ = 0;
    }

    std::vector<T> slots_;
    std::size_t head_ = 0;
    std::size_t size_ = 0;
};

}  // namespace kollator::rtc::sctp
