#include "tests/support/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>

namespace kollator::testing {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kWaitStep{5};
constexpr int kExecFailed = 127;

std::string errno_text() {
    return std::strerror(errno);
}

void close_if_open(int& descriptor) {
    if (descriptor >= 0) ::close(descriptor);
    descriptor = -1;
}

milliseconds time_left(Clock::time_point deadline) {
    return std::max(milliseconds{0},
                    std::chrono::duration_cast<milliseconds>(deadline - Clock::now()));
}

/// Runs between fork and exec: only what is async-signal-safe.
[[noreturn]] void become(const std::vector<char*>& argv, const std::vector<char*>& environment,
                         int input, int output, bool merge_stderr, int report) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::dup2(input, STDIN_FILENO);
    ::dup2(output, STDOUT_FILENO);
    if (merge_stderr) ::dup2(output, STDERR_FILENO);
    ::execvpe(argv[0], argv.data(), environment.data());
    const int reason = errno;
    (void)!::write(report, &reason, sizeof(reason));
    ::_exit(kExecFailed);
}

/// The pointers that exec wants; they live as long as `words`.
std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> out;
    for (auto& word : words) out.push_back(word.data());
    out.push_back(nullptr);
    return out;
}

std::vector<std::string> merged_environment(
    const std::vector<std::pair<std::string, std::string>>& added) {
    std::vector<std::string> out;
    const auto is_replaced = [&](std::string_view variable) {
        for (const auto& [name, value] : added) {
            if (variable.substr(0, variable.find('=')) == name) return true;
        }
        return false;
    };
    for (char** variable = environ; *variable != nullptr; ++variable) {
        if (!is_replaced(*variable)) out.emplace_back(*variable);
    }
    for (const auto& [name, value] : added) out.push_back(name + "=" + value);
    return out;
}

}  // namespace

Result<ChildProcess> ChildProcess::start(const Options& options) {
    KOLLATOR_CHECK(!options.command.empty());
    // A child that ended must be an error of write(), not our end.
    std::signal(SIGPIPE, SIG_IGN);

    std::array<int, 2> input{-1, -1};
    std::array<int, 2> output{-1, -1};
    std::array<int, 2> report{-1, -1};  // closed by a successful exec, else carries errno
    const auto close_all = [&] {
        for (auto* pipe : {&input, &output, &report}) {
            for (int& end : *pipe) close_if_open(end);
        }
    };
    if (::pipe2(input.data(), O_CLOEXEC) != 0 || ::pipe2(output.data(), O_CLOEXEC) != 0 ||
        ::pipe2(report.data(), O_CLOEXEC) != 0) {
        close_all();
        return make_error(ErrorCode::kUnavailable, "pipe: " + errno_text());
    }

    auto command = options.command;
    auto environment = merged_environment(options.environment);
    const auto argv = pointers(command);
    const auto envp = pointers(environment);
    const int pid = ::fork();
    if (pid == 0) become(argv, envp, input[0], output[1], options.merge_stderr, report[1]);
    if (pid < 0) {
        close_all();
        return make_error(ErrorCode::kUnavailable, "fork: " + errno_text());
    }

    ChildProcess child(pid, std::exchange(input[1], -1), std::exchange(output[0], -1));
    close_if_open(report[1]);
    int reason = 0;
    const bool failed = ::read(report[0], &reason, sizeof(reason)) == sizeof(reason);
    close_all();
    if (failed) {
        const auto code = reason == ENOENT ? ErrorCode::kNotFound : ErrorCode::kUnavailable;
        return make_error(code, options.command[0] + ": " + std::strerror(reason));
    }
    return child;
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept {
    swap(other);
}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
    ChildProcess taken(std::move(other));
    swap(taken);
    return *this;
}

ChildProcess::~ChildProcess() {
    if (pid_ < 0) return;
    close_stdin();
    terminate();
    close_if_open(output_);
}

void ChildProcess::swap(ChildProcess& other) noexcept {
    std::swap(pid_, other.pid_);
    std::swap(input_, other.input_);
    std::swap(output_, other.output_);
    std::swap(exit_code_, other.exit_code_);
    std::swap(exited_, other.exited_);
    std::swap(buffered_, other.buffered_);
}

Result<std::string> ChildProcess::read_line(milliseconds timeout) {
    const auto deadline = Clock::now() + timeout;
    while (true) {
        if (const auto end = buffered_.find('\n'); end != std::string::npos) {
            std::string line = buffered_.substr(0, end);
            buffered_.erase(0, end + 1);
            return line;
        }
        pollfd waiting{.fd = output_, .events = POLLIN, .revents = 0};
        const int ready = ::poll(&waiting, 1, static_cast<int>(time_left(deadline).count()));
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) return make_error(ErrorCode::kTimeout, "no line; so far: " + buffered_);

        std::array<char, 4096> block{};
        const ssize_t got = ::read(output_, block.data(), block.size());
        if (got < 0 && errno == EINTR) continue;
        if (got > 0) {
            buffered_.append(block.data(), static_cast<std::size_t>(got));
        } else if (!buffered_.empty()) {
            return std::exchange(buffered_, {});  // a last line without its end
        } else {
            return make_error(ErrorCode::kNotFound, "the child's output has ended");
        }
    }
}

Result<std::string> ChildProcess::read_until(std::string_view text, milliseconds timeout) {
    const auto deadline = Clock::now() + timeout;
    while (true) {
        auto line = read_line(time_left(deadline));
        if (!line || line->find(text) != std::string::npos) return line;
    }
}

Status ChildProcess::write(std::string_view text) {
    while (!text.empty()) {
        const ssize_t wrote = ::write(input_, text.data(), text.size());
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return make_error(ErrorCode::kUnavailable, "write: " + errno_text());
        text.remove_prefix(static_cast<std::size_t>(wrote));
    }
    return {};
}

void ChildProcess::close_stdin() {
    close_if_open(input_);
}

void ChildProcess::send_signal(int signal) {
    if (!exited_) ::kill(pid_, signal);
}

Result<int> ChildProcess::wait(milliseconds timeout) {
    const auto deadline = Clock::now() + timeout;
    while (!exited_) {
        int status = 0;
        const int reaped = ::waitpid(pid_, &status, WNOHANG);
        if (reaped == pid_) {
            exited_ = true;
            exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        } else if (reaped < 0 && errno != EINTR) {
            return make_error(ErrorCode::kInternal, "waitpid: " + errno_text());
        } else if (Clock::now() >= deadline) {
            return make_error(ErrorCode::kTimeout, "the child runs on");
        } else {
            std::this_thread::sleep_for(kWaitStep);
        }
    }
    return exit_code_;
}

int ChildProcess::terminate() {
    send_signal(SIGTERM);
    if (auto code = wait(kGrace)) return *code;
    send_signal(SIGKILL);
    const auto code = wait(kGrace);
    return code ? *code : -1;
}

}  // namespace kollator::testing
