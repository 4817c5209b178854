#pragma once

#include <cstddef>
#include <cstdint>

namespace kollator::store::s3 {

/// Whether it pays to ask for an object's presence (HEAD) before it is sent. A HEAD costs a round
/// trip, and saves an upload where the object is there: so it is asked where half of what was sent
/// lately was there already (somebody uploads a file again), and the body is not small. Pure.
class PresenceGuess {
 public:
    /// Smaller bodies are sent in about the time that asking takes.
    static constexpr std::size_t kMinBodyBytes = 256 << 10;
    /// A server that does not know conditional writes never says that an object was there: every
    /// so many objects are asked for, to learn it.
    static constexpr unsigned kSampleEvery = 16;

    bool should_ask(std::size_t body_bytes, bool server_tells);
    /// What a PUT or a HEAD found.
    void note(bool was_there) { share_ += ((was_there ? 1.0 : 0.0) - share_) / kMemory; }

 private:
    static constexpr double kMemory = 4;  ///< objects; so many in a row tip the scales

    double share_ = 0;  ///< of the objects of late, those that were there
    unsigned since_sample_ = 0;
};

}  // namespace kollator::store::s3
