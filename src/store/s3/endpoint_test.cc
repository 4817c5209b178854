#include "store/s3/endpoint.h"

#include <gtest/gtest.h>

#include "base/file_system.h"
#include "tests/support/temp_folder.h"

namespace kollator::store::s3 {
namespace {

S3Options options() {
    S3Options options;
    options.endpoint = "https://s3.example.net";
    options.bucket = "my-bucket";
    options.access_key = "KEY";
    options.secret_key = "very secret";
    return options;
}

TEST(Endpoint, PutsTheBucketInThePathOrTheHost) {
    auto given = options();
    auto endpoint = resolve(given);
    ASSERT_TRUE(endpoint.ok());
    EXPECT_EQ(endpoint->origin, "https://s3.example.net");
    EXPECT_EQ(endpoint->host, "s3.example.net");
    EXPECT_EQ(endpoint->prefix, "/my-bucket");
    given.address_style = S3AddressStyle::kVirtualHost;
    endpoint = resolve(given);
    ASSERT_TRUE(endpoint.ok());
    EXPECT_EQ(endpoint->origin, "https://my-bucket.s3.example.net");
    EXPECT_EQ(endpoint->host, "my-bucket.s3.example.net");
    EXPECT_EQ(endpoint->prefix, "");
}

TEST(Endpoint, LeavesOutTheDefaultPortAndKeepsAnother) {
    auto given = options();
    given.endpoint = "https://s3.example.net:443/";
    EXPECT_EQ(resolve(given)->host, "s3.example.net");
    given.endpoint = "http://127.0.0.1:9000";
    EXPECT_EQ(resolve(given)->host, "127.0.0.1:9000");
    EXPECT_TRUE(resolve(given)->loopback);
    given.endpoint = "http://[::1]:9000";
    EXPECT_EQ(resolve(given)->origin, "http://[::1]:9000");
}

TEST(Endpoint, RefusesWhatIsNoEndpointWithoutRepeatingIt) {
    for (const char* url : {"", "s3.example.net/x", "ftp://s3.example.net", "https://",
                            "https://user:hidden@s3.example.net", "https://s3.example.net/path",
                            "https://s3.example.net/?hidden=1", "https://s3 .example.net"}) {
        auto given = options();
        given.endpoint = url;
        const auto status = validate(given);
        ASSERT_FALSE(status.ok()) << url;
        EXPECT_EQ(status.error().code, ErrorCode::kInvalid);
        EXPECT_EQ(status.error().detail.find("endpoint: "), 0U) << status.error().detail;
        EXPECT_EQ(status.error().detail.find("hidden"), std::string::npos);
    }
}

TEST(Endpoint, NamesTheOptionThatIsWrong) {
    const auto detail_with = [](auto change) {
        auto given = options();
        change(given);
        const auto status = validate(given);
        return status.ok() ? std::string("fine") : status.error().detail;
    };
    EXPECT_EQ(detail_with([](S3Options&) {}), "fine");
    EXPECT_EQ(detail_with([](S3Options& o) { o.bucket = "a/b"; }).find("bucket"), 0U);
    EXPECT_EQ(detail_with([](S3Options& o) { o.bucket = ""; }).find("bucket"), 0U);
    EXPECT_EQ(detail_with([](S3Options& o) { o.region = "eu west"; }).find("region"), 0U);
    EXPECT_EQ(detail_with([](S3Options& o) { o.access_key = "a\nb"; }).find("access key"), 0U);
    EXPECT_EQ(detail_with([](S3Options& o) { o.secret_key = ""; }).find("secret key"), 0U);
    EXPECT_EQ(detail_with([](S3Options& o) { o.session_token = "a\r\n"; }).find("session"), 0U);
    EXPECT_EQ(detail_with([](S3Options& o) { o.max_transfers = 0; }).find("max transfers"), 0U);
    EXPECT_EQ(detail_with([](S3Options& o) { o.max_attempts = 0; }).find("max attempts"), 0U);
    EXPECT_EQ(detail_with([](S3Options& o) { o.stall_timeout = {}; }).find("timeouts"), 0U);
    EXPECT_EQ(detail_with([](S3Options& o) {
                  o.address_style = S3AddressStyle::kVirtualHost;
                  o.bucket = "dotted.name";
              }).find("bucket"),
              0U);
    EXPECT_EQ(detail_with([](S3Options& o) { o.breaker_min_wait = {}; }).find("breaker"), 0U);
    EXPECT_EQ(detail_with([](S3Options& o) { o.egress_file = "/x"; }).find("files"), 0U);
}

TEST(Endpoint, SaysWhatIsWrongWithCertificateAuthorities) {
    const testing_support::TempFolder folder;
    const std::string file = folder.path() / "ca.pem";
    const auto detail_with = [](std::string S3Options::*member, const std::string& path) {
        auto given = options();
        given.*member = path;
        const auto status = validate(given);
        return status.ok() ? std::string("fine") : status.error().detail;
    };
    const auto write = [&](std::string_view text) {
        ASSERT_TRUE(write_file_durably(posix_file_system(), file, as_bytes(text)).ok());
    };
    EXPECT_NE(detail_with(&S3Options::ca_file, file).find("No such file"), std::string::npos);
    write("-----BEGIN PRIVATE KEY-----\n");
    EXPECT_NE(detail_with(&S3Options::ca_file, file).find("no certificate"), std::string::npos);
    write("-----BEGIN CERTIFICATE-----\n");
    EXPECT_EQ(detail_with(&S3Options::ca_file, file), "fine");
    EXPECT_NE(detail_with(&S3Options::ca_path, file).find("no folder"), std::string::npos);
    EXPECT_EQ(detail_with(&S3Options::ca_path, folder.path()), "fine");
    EXPECT_EQ(detail_with(&S3Options::ca_path, folder.path() / "x").find("CA path"), 0U);
}

}  // namespace
}  // namespace kollator::store::s3
