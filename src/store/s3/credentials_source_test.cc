#include "store/s3/credentials_source.h"

#include <gtest/gtest.h>

#include "store/s3/s3_store_fixture.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/temp_folder.h"

namespace kollator::store::s3 {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class CredentialFiles : public S3StoreTest {
 protected:
    CredentialFiles() {
        options_.access_key.clear();
        options_.secret_key.clear();
        options_.session_token.clear();
        options_.access_key_file = folder_.path() / "access";
        options_.secret_key_file = folder_.path() / "secret";
        options_.credentials_poll = milliseconds(20);
        options_.jobs = &jobs_;
        options_.files = &posix_file_system();
        write("access", "KEY1\n");
        write("secret", "SECRET1\n");
        server_.answer([](const std::string&) { return http(200, "x"); });
    }
    void write(const std::string& name, std::string_view text) {
        ASSERT_TRUE(
            write_file_durably(posix_file_system(), folder_.path() / name, as_bytes(text)).ok());
    }
    void open() {
        source_.reset();
        auto made = CredentialsSource::open(loop_, options_);
        ASSERT_TRUE(made.ok()) << made.error().detail;
        source_ = std::move(*made);
    }
    Error open_error() { return CredentialsSource::open(loop_, options_).error(); }
    bool waits_for(const std::function<bool()>& done) { return loop_.run_until(done, kDeadline); }

    testing_support::TempFolder folder_;
    JobPool jobs_{1};
    std::unique_ptr<CredentialsSource> source_;
};

TEST_F(CredentialFiles, AreReadAtTheStartWithoutTheirLineEnds) {
    write("token", " TOKEN1 \r\n");
    options_.session_token_file = folder_.path() / "token";
    open();
    EXPECT_EQ(source_->current(), (Credentials{"KEY1", "SECRET1", "TOKEN1"}));
    EXPECT_FALSE(source_->check()->warn);
}

TEST_F(CredentialFiles, ThatCannotBeUsedAtTheStartAreRefusedByName) {
    write("access", "");
    EXPECT_NE(open_error().detail.find("access is empty"), std::string::npos);
    write("access", "TWO WORDS");
    EXPECT_EQ(open_error().code, ErrorCode::kInvalid);
    EXPECT_EQ(open_error().detail.find("WORDS"), std::string::npos);
    write("access", "KEY1");
    write("secret", "TWO\nLINES");
    EXPECT_EQ(open_error().code, ErrorCode::kInvalid);
    write("secret", std::string(100'000, 'x'));
    EXPECT_EQ(open_error().code, ErrorCode::kInvalid);
    options_.secret_key_file = folder_.path() / "missing";
    EXPECT_NE(open_error().detail.find("missing"), std::string::npos);
}

TEST_F(CredentialFiles, AreUsedAnewWhenTheyChange) {
    open();
    write("access", "KEY2");
    write("secret", "SECRET2");
    EXPECT_TRUE(waits_for([&] { return source_->current().secret_key == "SECRET2"; }));
    EXPECT_EQ(source_->current().access_key, "KEY2");
}

TEST_F(CredentialFiles, EmptyOrGoneKeepTheOldOnesAndWarn) {
    open();
    write("access", "");
    EXPECT_TRUE(waits_for([&] { return source_->check()->warn; }));
    EXPECT_EQ(source_->current().access_key, "KEY1");
    std::filesystem::remove(folder_.path() / "access");
    EXPECT_TRUE(waits_for(
        [&] { return source_->check()->detail.find("No such file") != std::string::npos; }));
    EXPECT_EQ(source_->current().access_key, "KEY1");
    write("access", "KEY3");
    EXPECT_TRUE(waits_for([&] { return source_->current().access_key == "KEY3"; }));
    EXPECT_FALSE(source_->check()->warn);
}

/// A file system whose "access" file says something else at each reading.
class ChangingFileSystem final : public testing_support::FaultyFileSystem {
 public:
    ChangingFileSystem(const std::filesystem::path& path) {
        set_hook([this, path](testing_support::FileOperation operation,
                              const std::filesystem::path& opened) -> std::optional<Error> {
            if (operation == testing_support::FileOperation::kOpen && opened == path && changing) {
                const std::string text = "HALF" + std::to_string(++readings);
                (void)write_file_durably(posix_file_system(), path, as_bytes(text));
            }
            return std::nullopt;
        });
    }
    std::atomic<bool> changing{false};
    std::atomic<int> readings{0};
};

TEST_F(CredentialFiles, ThatAreStillBeingWrittenAreNotUsed) {
    ChangingFileSystem changing(options_.access_key_file);
    options_.files = &changing;
    open();
    changing.changing = true;
    EXPECT_TRUE(waits_for([&] { return changing.readings > 10; }));
    EXPECT_EQ(source_->current().access_key, "KEY1");
    changing.changing = false;
    EXPECT_TRUE(waits_for([&] { return source_->current().access_key != "KEY1"; }));
    source_.reset();
}

TEST_F(CredentialFiles, SignTheRequestsThatFollow) {
    reopen();
    EXPECT_TRUE(get().ok());
    EXPECT_NE(server_.requests().back().find("Credential=KEY1/"), std::string::npos);
    write("access", "KEY2");
    const TimePoint end = system_clock().now() + kDeadline;
    while (server_.requests().back().find("Credential=KEY2/") == std::string::npos) {
        ASSERT_LT(system_clock().now(), end);
        ASSERT_TRUE(get().ok());
    }
}

TEST_F(CredentialFiles, NeedWhatReadsThem) {
    options_.jobs = nullptr;
    EXPECT_EQ(validate(options_).error().code, ErrorCode::kInvalid);
}

TEST(Credentials, GivenAsValuesAreNoFiles) {
    EventLoop loop;
    S3Options options;
    options.access_key = "KEY";
    options.secret_key = "SECRET";
    const auto source = CredentialsSource::open(loop, options);
    ASSERT_TRUE(source.ok());
    EXPECT_EQ((*source)->current().access_key, "KEY");
    EXPECT_FALSE((*source)->check().has_value());
}

}  // namespace
}  // namespace kollator::store::s3
