#include "store/s3/signer.h"

#include <gtest/gtest.h>

namespace kollator::store::s3 {
namespace {

// The examples of "Signature Calculations for the Authorization Header: Transferring Payload in a
// Single Chunk" (Amazon S3 API Reference).
const Credentials kExampleKeys{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                               ""};
const std::string kEmptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const WallTime kExampleTime{std::chrono::seconds(1'369'353'600)};  // 2013-05-24T00:00:00Z

SignableRequest example(const std::string& path) {
    SignableRequest request;
    request.method = "GET";
    request.path = path;
    request.payload_hash = kEmptyHash;
    request.headers = {{"Host", "examplebucket.s3.amazonaws.com"},
                       {"x-amz-content-sha256", kEmptyHash},
                       {"x-amz-date", "20130524T000000Z"}};
    return request;
}

std::string signature(const SignableRequest& request) {
    const std::string value =
        authorization(request, kExampleKeys, {"us-east-1", "s3", kExampleTime});
    return value.substr(value.find("Signature=") + 10);
}

TEST(Signer, SignsAwsExampleGetObject) {
    auto request = example("/test.txt");
    request.headers.emplace_back("Range", "bytes=0-9");
    EXPECT_EQ(
        authorization(request, kExampleKeys, {"us-east-1", "s3", kExampleTime}),
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST(Signer, SignsAwsExamplePutObject) {
    auto request = example(uri_encode("/test$file.text", Slash::kKeep));
    EXPECT_EQ(request.path, "/test%24file.text");
    request.method = "PUT";
    request.payload_hash = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    request.headers[1].second = request.payload_hash;
    request.headers.emplace_back("Date", "Fri, 24 May 2013 00:00:00 GMT");
    request.headers.emplace_back("x-amz-storage-class", "REDUCED_REDUNDANCY");
    EXPECT_EQ(signature(request),
              "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

TEST(Signer, SignsAwsExampleGetLifecycle) {
    auto request = example("/");
    request.query = {{"lifecycle", ""}};
    EXPECT_EQ(signature(request),
              "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

TEST(Signer, SignsAwsExampleListObjectsWhateverTheQuerysOrder) {
    auto request = example("/");
    request.query = {{"prefix", "J"}, {"max-keys", "2"}};
    EXPECT_EQ(signature(request),
              "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
    std::swap(request.query[0], request.query[1]);
    EXPECT_EQ(signature(request),
              "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(Signer, SignsASessionTokenAsAwsTestSuiteDoes) {
    // aws-sig-v4-test-suite, post-sts-token/post-sts-header-before.
    const Credentials keys{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", ""};
    SignableRequest request;
    request.method = "POST";
    request.path = "/";
    request.payload_hash = kEmptyHash;
    request.headers = {
        {"Host", "example.amazonaws.com"},
        {"X-Amz-Date", "20150830T123600Z"},
        {"X-Amz-Security-Token",
         "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmx"
         "fpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0K"
         "PkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZb"
         "qBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="}};
    const WallTime time{std::chrono::seconds(1'440'938'160)};  // 2015-08-30T12:36:00Z
    EXPECT_EQ(authorization(request, keys, {"us-east-1", "service", time}),
              "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
              "SignedHeaders=host;x-amz-date;x-amz-security-token, "
              "Signature=85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead");
}

TEST(Signer, SignsAnOrdinaryRequestAsAwsTestSuiteDoes) {
    // aws-sig-v4-test-suite, get-vanilla.
    const Credentials keys{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", ""};
    SignableRequest request;
    request.method = "GET";
    request.path = "/";
    request.payload_hash = kEmptyHash;
    request.headers = {{"Host", "example.amazonaws.com"}, {"X-Amz-Date", "20150830T123600Z"}};
    const WallTime time{std::chrono::seconds(1'440'938'160)};
    const std::string value = authorization(request, keys, {"us-east-1", "service", time});
    EXPECT_EQ(value.substr(value.find("Signature=")),
              "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
}

TEST(Signer, SortsHeadersByNameAloneAndFoldsSpaces) {
    SignableRequest request;
    request.method = "GET";
    request.path = "/";
    request.payload_hash = "hash";
    request.headers = {{"x-amz-meta-b", "z"}, {"X-Amz-Meta", "  a   b  "}, {"Host", "h"}};
    EXPECT_EQ(canonical_request(request),
              "GET\n/\n\nhost:h\nx-amz-meta:a b\nx-amz-meta-b:z\n\n"
              "host;x-amz-meta;x-amz-meta-b\nhash");
}

TEST(CanonicalQuery, EncodesSortsAndGivesEveryNameItsEqualsSign) {
    EXPECT_EQ(canonical_query({{"prefix", "chunks/"}, {"list-type", "2"}, {"acl", ""}}),
              "acl=&list-type=2&prefix=chunks%2F");
    EXPECT_EQ(canonical_query({{"a", "2"}, {"a", "1"}, {"A", "é +~"}}), "A=%C3%A9%20%2B~&a=1&a=2");
}

}  // namespace
}  // namespace kollator::store::s3
