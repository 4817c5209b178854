#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace kollator::testing {

/// A program that a test starts and talks to by lines: kollator itself, or the S3 server of the
/// tests. Not thread-safe. The child dies with the test's process, however that ends.
class ChildProcess {
 public:
    struct Options {
        std::vector<std::string> command;  ///< found on PATH; no shell
        /// Added to the test's own environment.
        std::vector<std::pair<std::string, std::string>> environment;
        bool merge_stderr = false;  ///< read_line() sees standard error too; else it passes through
    };

    /// kNotFound where the program does not exist, kUnavailable where it cannot be started.
    static Result<ChildProcess> start(const Options& options);

    ChildProcess(ChildProcess&& other) noexcept;
    ChildProcess& operator=(ChildProcess&& other) noexcept;
    /// Closes its standard input, then SIGTERM; SIGKILL after kGrace.
    ~ChildProcess();

    int pid() const { return pid_; }

    /// The next line of its output, without the end of line. kTimeout; kNotFound at the end of its
    /// output, where nothing is left.
    Result<std::string> read_line(std::chrono::milliseconds timeout);
    /// Drops lines until one contains `text`, and returns that.
    Result<std::string> read_until(std::string_view text, std::chrono::milliseconds timeout);

    /// All of `text` to its standard input; kUnavailable when it does not read any more.
    Status write(std::string_view text);
    void close_stdin();

    void send_signal(int signal);
    /// Its exit code, or 128 + the signal that ended it; kTimeout while it runs.
    Result<int> wait(std::chrono::milliseconds timeout);
    /// SIGTERM, and wait; SIGKILL (so 137) after kGrace.
    int terminate();

    static constexpr std::chrono::seconds kGrace{15};

 private:
    ChildProcess(int pid, int input, int output) : pid_(pid), input_(input), output_(output) {}
    void swap(ChildProcess& other) noexcept;

    int pid_ = -1;
    int input_ = -1;   ///< we write, the child's standard input reads
    int output_ = -1;  ///< we read what the child writes
    int exit_code_ = -1;
    bool exited_ = false;
    std::string buffered_;
};

}  // namespace kollator::testing
