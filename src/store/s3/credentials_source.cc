#include "store/s3/credentials_source.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/log.h"

namespace kollator::store::s3 {
namespace {

const log::Logger kLog("s3");

/// Session tokens have one or two kilobytes.
constexpr std::size_t kMaxFileBytes = 16 << 10;

/// What may stand in a header's value without any quoting.
bool is_visible(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F; });
}

Error wrong(const std::string& what) {
    return make_error(ErrorCode::kInvalid, what);
}

std::string trimmed(std::string_view text) {
    constexpr std::string_view kBlank = " \t\r\n";
    const std::size_t begin = text.find_first_not_of(kBlank);
    if (begin == text.npos) return "";
    return std::string(text.substr(begin, text.find_last_not_of(kBlank) - begin + 1));
}

/// Into `value`, where a file is named.
Status read_part(FileSystem& files, const std::filesystem::path& path, std::string& value) {
    if (path.empty()) return {};
    const auto bytes = read_file(files, path, kMaxFileBytes);
    if (!bytes) return wrong("credentials: " + bytes.error().detail);
    value = trimmed(as_text(*bytes));
    if (value.empty()) return wrong("credentials: " + path.string() + " is empty");
    return {};
}

Result<Credentials> read_all(const S3Options& options) {
    Credentials out{options.access_key, options.secret_key, options.session_token};
    if (!options.has_credential_files()) {
        if (auto status = check_credentials(out); !status) return status.error();
        return out;
    }
    for (const auto& [path, value] : {std::pair(&options.access_key_file, &out.access_key),
                                      std::pair(&options.secret_key_file, &out.secret_key),
                                      std::pair(&options.session_token_file, &out.session_token)}) {
        if (auto status = read_part(*options.files, *path, *value); !status) return status.error();
    }
    if (auto status = check_credentials(out); !status) return status.error();
    return out;
}

}  // namespace

Status check_credentials(const Credentials& credentials) {
    if (credentials.access_key.empty() || !is_visible(credentials.access_key) ||
        credentials.access_key.find('/') != std::string::npos) {
        return wrong("access key: expected visible characters without spaces and slashes");
    }
    if (credentials.secret_key.empty()) return wrong("secret key: is empty");
    if (std::any_of(credentials.secret_key.begin(), credentials.secret_key.end(),
                    [](char c) { return c >= 0 && c < ' '; })) {
        return wrong("secret key: expected one line");
    }
    if (!is_visible(credentials.session_token)) {
        return wrong("session token: expected visible characters without spaces");
    }
    return {};
}

Result<std::unique_ptr<CredentialsSource>> CredentialsSource::open(EventLoop& loop,
                                                                   const S3Options& options) {
    auto current = read_all(options);
    if (!current) return current.error();
    return std::unique_ptr<CredentialsSource>(
        new CredentialsSource(loop, options, std::move(*current)));
}

CredentialsSource::CredentialsSource(EventLoop& loop, const S3Options& options, Credentials current)
    : loop_(loop), options_(options), current_(std::move(current)), timer_(loop) {
    if (options_.has_credential_files()) {
        timer_.start_after(options_.credentials_poll, [this] { poll(); });
    }
}

CredentialsSource::~CredentialsSource() = default;

void CredentialsSource::poll() {
    options_.jobs->run(
        loop_, [options = options_] { return read_all(options); },
        [this, alive = std::weak_ptr(alive_)](const Result<Credentials>& read) {
            if (!alive.expired()) on_read(read);
        });
}

void CredentialsSource::on_read(const Result<Credentials>& read) {
    timer_.start_after(options_.credentials_poll, [this] { poll(); });
    const std::string before = std::exchange(problem_, read ? "" : read.error().detail);
    if (!read) {
        candidate_.reset();
        if (problem_ != before) kLog.warn("{} kept=\"the credentials from before\"", problem_);
        return;
    }
    if (*read == current_) {
        candidate_.reset();
    } else if (candidate_ == *read) {
        current_ = *read;
        candidate_.reset();
        kLog.info("credentials=changed");
    } else {
        candidate_ = *read;
    }
}

std::optional<StoreCheck> CredentialsSource::check() const {
    if (!options_.has_credential_files()) return std::nullopt;
    if (problem_.empty()) return StoreCheck{"credentials", false, "read from files"};
    return StoreCheck{"credentials", true, problem_ + "; the ones from before are still used"};
}

}  // namespace kollator::store::s3
