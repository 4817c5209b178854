#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/file_system.h"
#include "base/result.h"
#include "loop/event_loop.h"
#include "loop/job_pool.h"
#include "store/object_store.h"
#include "store/s3/s3_store.h"
#include "store/s3/signer.h"

namespace kollator::store::s3 {

/// kInvalid where a part cannot stand in a request's headers; no secret is in the detail.
Status check_credentials(const Credentials& credentials);

/// What requests are signed with: the options' own values, or what their files hold now. Files are
/// read again every credentials_poll by a job; new content counts once two readings in a row agree,
/// so that a file that is still being written is never used, and only when all parts are good:
/// until then the old credentials stay. Loop thread only.
class CredentialsSource {
 public:
    /// Reads the files, waiting for them: at the start only. kInvalid: one cannot be read, or what
    /// it holds cannot be used.
    static Result<std::unique_ptr<CredentialsSource>> open(EventLoop& loop,
                                                           const S3Options& options);
    ~CredentialsSource();

    const Credentials& current() const { return current_; }
    /// Of the files; empty where there are none.
    std::optional<StoreCheck> check() const;

 private:
    CredentialsSource(EventLoop& loop, const S3Options& options, Credentials current);
    void poll();
    void on_read(const Result<Credentials>& read);

    EventLoop& loop_;
    const S3Options options_;
    Credentials current_;
    std::optional<Credentials> candidate_;  ///< read once
    std::string problem_;                   ///< of the last reading; empty: none
    Timer timer_;
    const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace kollator::store::s3
