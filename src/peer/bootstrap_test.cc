#include "peer/bootstrap.h"

#include <gtest/gtest.h>

namespace kollator::peer {
namespace {

TEST(BootstrapTest, TakesWorkersSignalingAndIceServers) {
    const auto found = parse_bootstrap(
        R"({"worker":{"id":"a","url":"http://a:1"},
            "alternatives":[{"id":"b","url":""},{"url":"x"},7],
            "signaling":"ws://f:8080/signaling",
            "iceServers":[{"urls":["stun:s:1","stun:t:2"]},
                          {"urls":"turn:t","username":"u","credential":"c"},{"urls":5},3]})",
        "http://f:8080/");
    ASSERT_TRUE(found.ok()) << found.error().detail;
    EXPECT_EQ(found->workers, (std::vector<WorkerAddress>{{"a", "http://a:1"}, {"b", ""}}));
    EXPECT_EQ(found->signaling_url, "ws://f:8080/signaling");
    EXPECT_EQ(found->ice_servers,
              (std::vector<IceServerAddress>{
                  {"stun:s:1", "", ""}, {"stun:t:2", "", ""}, {"turn:t", "u", "c"}}));
}

TEST(BootstrapTest, SignalingIsSecureWhereTheFrontIs) {
    const auto signaling = [](const std::string& member, const std::string& front) {
        return parse_bootstrap(R"({"worker":{"id":"a"})" + member + "}", front)->signaling_url;
    };
    EXPECT_EQ(signaling(R"(,"signaling":"ws://f/signaling")", "https://f"), "wss://f/signaling");
    EXPECT_EQ(signaling("", "https://f/"), "wss://f/signaling");
    EXPECT_EQ(signaling("", "http://f:8080"), "ws://f:8080/signaling");
    EXPECT_EQ(signaling(R"(,"signaling":"gopher://f")", "http://f"), "ws://f/signaling");
}

TEST(BootstrapTest, RefusesWhatIsNoBootstrap) {
    for (const char* body : {"", "[]", "<html>", "7"}) {
        EXPECT_EQ(parse_bootstrap(body, "http://f").error().code, ErrorCode::kInvalid) << body;
    }
    for (const char* body : {"{}", R"({"worker":{}})", R"({"worker":7,"alternatives":[]})"}) {
        EXPECT_EQ(parse_bootstrap(body, "http://f").error().code, ErrorCode::kNotFound) << body;
    }
}

TEST(BootstrapTest, BoundsWhatItKeeps) {
    std::string body = R"({"worker":{"id":"a"},"alternatives":[)";
    for (int i = 0; i < 200; ++i) body += R"({"id":"b"},)";
    body.back() = ']';
    EXPECT_EQ(parse_bootstrap(body + "}", "http://f")->workers.size(), kMaxBootstrapWorkers);
}

}  // namespace
}  // namespace kollator::peer
