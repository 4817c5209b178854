#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rtc/sdp/build.h"
#include "rtc/sdp/description.h"

namespace kollator::rtc {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kDigest =
    "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:"
    "ff";

// What Chromium offers, shortened in nothing but the candidates.
std::string chromium_offer() {
    return "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
           "a=group:BUNDLE 0\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS\r\n"
           "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n"
           "a=candidate:1 1 udp 2113937151 0f5b1d8e-aaaa-4bbb-8ccc-123456789abc.local 51999 typ "
           "host generation 0 network-cost 999\r\n"
           "a=candidate:2 1 UDP 1677729535 198.51.100.7 40000 typ srflx raddr 10.0.0.2 rport 51999 "
           "generation 0\r\n"
           "a=candidate:3 1 tcp 1518280447 198.51.100.7 9 typ host tcptype active\r\n"
           "a=ice-ufrag:Xp4q\r\na=ice-pwd:0123456789abcdefghijkl/+\r\na=ice-options:trickle\r\n"
           "a=fingerprint:sha-256 " +
           std::string(kDigest) +
           "\r\na=setup:actpass\r\na=mid:0\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n";
}

std::string without(std::string text, std::string_view part) {
    const std::size_t at = text.find(part);
    return at == std::string::npos ? text : text.erase(at, text.find('\n', at) - at + 1);
}

std::string with(std::string text, std::string_view from, std::string_view to) {
    return text.replace(text.find(from), from.size(), to);
}

ErrorCode code_of(const std::string& sdp) {
    const Result<Description> offer = parse_offer(sdp);
    return offer.ok() ? ErrorCode::kInternal : offer.error().code;
}

std::string detail_of(const std::string& sdp) {
    const Result<Description> offer = parse_offer(sdp);
    return offer.ok() ? "parsed" : offer.error().detail;
}

TEST(SdpOffer, ReadsChromiumsOffer) {
    const Result<Description> offer = parse_offer(chromium_offer());
    ASSERT_TRUE(offer.ok()) << offer.error().detail;
    EXPECT_EQ(offer->ice.ufrag, "Xp4q");
    EXPECT_EQ(offer->ice.password, "0123456789abcdefghijkl/+");
    EXPECT_EQ(offer->setup, DtlsSetup::kActpass);
    EXPECT_EQ(offer->fingerprint[1], 0x11);
    EXPECT_EQ(offer->fingerprint[31], 0xff);
    EXPECT_EQ(offer->sctp_port, 5000);
    EXPECT_EQ(offer->max_message_bytes, 262144u);
    EXPECT_TRUE(offer->bundled);
    EXPECT_FALSE(offer->ice_lite);
    EXPECT_FALSE(offer->end_of_candidates);
    ASSERT_EQ(offer->candidates.size(), 1u);
    EXPECT_EQ(offer->candidates[0].address.text(), "198.51.100.7:40000");
    EXPECT_EQ(offer->candidates[0].type, CandidateType::kServerReflexive);
    ASSERT_TRUE(offer->candidates[0].related);
    EXPECT_EQ(offer->candidates[0].related->text(), "10.0.0.2:51999");
}

TEST(SdpOffer, ReadsBareLineFeeds) {
    std::string sdp = chromium_offer();
    std::erase(sdp, '\r');
    EXPECT_TRUE(parse_offer(sdp).ok());
}

TEST(SdpOffer, TakesCredentialsAndFingerprintFromTheSession) {
    std::string sdp = chromium_offer();
    for (const char* name : {"a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=setup"}) {
        sdp = without(sdp, name);
    }
    sdp = with(sdp, "m=application",
               "a=ice-ufrag:sess\r\na=ice-pwd:sessionpasswordsessionpw\r\na=ice-lite\r\n"
               "a=fingerprint:SHA-256 " +
                   std::string(kDigest) + "\r\na=setup:passive\r\nm=application");
    const Result<Description> offer = parse_offer(sdp);
    ASSERT_TRUE(offer.ok()) << offer.error().detail;
    EXPECT_EQ(offer->ice.ufrag, "sess");
    EXPECT_EQ(offer->setup, DtlsSetup::kPassive);
    EXPECT_TRUE(offer->ice_lite);
}

TEST(SdpOffer, DefaultsTheMessageSizeTo64KiB) {
    const Result<Description> offer = parse_offer(without(chromium_offer(), "a=max-message-size"));
    ASSERT_TRUE(offer.ok());
    EXPECT_EQ(offer->max_message_bytes, 65536u);
}

TEST(SdpOffer, ReadsTheOldForm) {
    std::string sdp = with(chromium_offer(), "UDP/DTLS/SCTP webrtc-datachannel", "DTLS/SCTP 5001");
    sdp = with(sdp, "a=sctp-port:5000", "a=sctpmap:5001 webrtc-datachannel 1024");
    const Result<Description> offer = parse_offer(sdp);
    ASSERT_TRUE(offer.ok()) << offer.error().detail;
    EXPECT_EQ(offer->sctp_port, 5001);
    const std::string answer = build_answer(*offer, {});
    EXPECT_THAT(answer, HasSubstr("DTLS/SCTP 5001\r\n"));
    EXPECT_THAT(answer, HasSubstr("a=sctpmap:5001 webrtc-datachannel 256\r\n"));
    EXPECT_THAT(answer, Not(HasSubstr("a=sctp-port")));
}

TEST(SdpOffer, TellsWhatIsMissing) {
    EXPECT_EQ(code_of(without(chromium_offer(), "a=ice-ufrag")), ErrorCode::kInvalid);
    EXPECT_THAT(detail_of(without(chromium_offer(), "a=ice-ufrag")), HasSubstr("ice-ufrag"));
    EXPECT_THAT(detail_of(without(chromium_offer(), "a=ice-pwd")), HasSubstr("ice-pwd"));
    EXPECT_THAT(detail_of(without(chromium_offer(), "a=fingerprint")), HasSubstr("fingerprint"));
    EXPECT_THAT(detail_of(with(chromium_offer(), "sha-256", "sha-1")), HasSubstr("sha-256"));
    EXPECT_THAT(detail_of(with(chromium_offer(), "Xp4q", "Xp")), HasSubstr("4 to 256"));
    EXPECT_THAT(detail_of(with(chromium_offer(), "0123456789abcdefghijkl/+", "short")),
                HasSubstr("22 to 256"));
}

TEST(SdpOffer, RefusesMalformedValues) {
    const auto refused = [](std::string_view from, std::string_view to) {
        return code_of(with(chromium_offer(), from, to)) == ErrorCode::kInvalid;
    };
    EXPECT_TRUE(refused("v=0", "v=1"));
    EXPECT_TRUE(refused("s=-", "session"));
    EXPECT_TRUE(refused("m=application 9", "m=application x"));
    EXPECT_TRUE(refused("a=setup:actpass", "a=setup:holdconn"));
    EXPECT_TRUE(refused("a=sctp-port:5000", "a=sctp-port:0"));
    EXPECT_TRUE(refused("a=sctp-port:5000", "a=sctp-port:70000"));
    EXPECT_TRUE(refused("a=sctp-port:5000", "a=sctpmap:x y"));
    EXPECT_TRUE(refused("a=max-message-size:262144", "a=max-message-size:-1"));
    EXPECT_TRUE(refused("00:11:22", "00:11-22"));
    EXPECT_TRUE(refused("00:11:22", "00:1g:22"));
    EXPECT_TRUE(refused("00:11:22", "00:11"));
    EXPECT_TRUE(refused("udp 2113937151", "udp x"));
    EXPECT_EQ(code_of(""), ErrorCode::kInvalid);
}

TEST(SdpOffer, TellsAnOfferWithoutDataChannels) {
    EXPECT_EQ(code_of(with(chromium_offer(), "m=application 9", "m=application 0")),
              ErrorCode::kNotFound);
    EXPECT_EQ(code_of(with(chromium_offer(), "m=application", "m=audio")), ErrorCode::kNotFound);
    EXPECT_EQ(code_of("v=0\n"), ErrorCode::kNotFound);
}

TEST(SdpOffer, HoldsItsBounds) {
    EXPECT_THAT(detail_of(chromium_offer() + std::string(kMaxSdpBytes, 'x')), HasSubstr("bytes"));
    std::string lines = "v=0\n";
    for (std::size_t i = 0; i < kMaxSdpLines; ++i) lines += "a=x\n";
    EXPECT_THAT(detail_of(lines), HasSubstr("lines"));
    std::string sections = "v=0\n";
    for (std::size_t i = 0; i <= kMaxSdpSections; ++i)
        sections += "m=audio 9 UDP/TLS/RTP/SAVPF 0\n";
    EXPECT_THAT(detail_of(sections), HasSubstr("sections"));

    std::string many = chromium_offer();
    for (std::size_t i = 0; i < 2 * kMaxSdpCandidates; ++i) {
        many += "a=candidate:1 1 udp 1 192.0.2.1 1000 typ host\r\n";
    }
    const Result<Description> offer = parse_offer(many);
    ASSERT_TRUE(offer.ok());
    EXPECT_EQ(offer->candidates.size(), kMaxSdpCandidates);
}

TEST(SdpOffer, SurvivesTruncationAtEachByte) {
    const std::string whole = chromium_offer();
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const Result<Description> offer = parse_offer(std::string_view(whole).substr(0, size));
        if (!offer.ok()) {
            EXPECT_FALSE(offer.error().detail.empty());
        }
    }
}

LocalParameters answer_parameters() {
    LocalParameters parameters;
    parameters.session_id = 77;
    parameters.ice = {"workerXY", "workerpasswordworkerpass"};
    parameters.fingerprint = std::string(kDigest);
    parameters.candidates = {{"1",
                              candidate_priority(CandidateType::kHost, 65535),
                              {*IpAddress::parse("192.0.2.9"), 8081},
                              CandidateType::kHost,
                              {}},
                             {"2",
                              candidate_priority(CandidateType::kHost, 65534),
                              {*IpAddress::parse("2001:db8::9"), 8081},
                              CandidateType::kHost,
                              {}}};
    return parameters;
}

TEST(SdpAnswer, AcceptsTheDataSectionAndRejectsOthers) {
    const std::string audio =
        "m=audio 9 UDP/TLS/RTP/SAVPF 111 63\r\na=mid:7\r\na=setup:whatever\r\nm=application";
    std::string sdp = with(chromium_offer(), "m=application", audio);
    const Result<Description> offer = parse_offer(with(sdp, "BUNDLE 0", "BUNDLE 7 0"));
    ASSERT_TRUE(offer.ok()) << offer.error().detail;
    EXPECT_EQ(offer->data_section, 1u);

    const std::string answer = build_answer(*offer, answer_parameters());
    EXPECT_THAT(answer, HasSubstr("a=group:BUNDLE 0\r\n"));
    EXPECT_THAT(answer, HasSubstr("m=audio 0 UDP/TLS/RTP/SAVPF 111 63\r\n"));
    EXPECT_THAT(answer, HasSubstr("m=application 8081 UDP/DTLS/SCTP webrtc-datachannel\r\n"
                                  "c=IN IP4 192.0.2.9\r\n"));
    EXPECT_THAT(answer, HasSubstr("a=setup:passive\r\n"));
    EXPECT_THAT(answer, HasSubstr("a=ice-ufrag:workerXY\r\n"));
    EXPECT_THAT(answer, HasSubstr("a=max-message-size:262144\r\n"));
    EXPECT_THAT(answer, HasSubstr("a=candidate:1 1 udp 2130706431 192.0.2.9 8081 typ host\r\n"));
    EXPECT_THAT(answer, HasSubstr("2001:db8::9 8081 typ host\r\na=end-of-candidates\r\n"));
    EXPECT_LT(answer.find("m=audio"), answer.find("m=application"));
}

TEST(SdpAnswer, IsReadableAsAnOffer) {
    const Result<Description> offer = parse_offer(chromium_offer());
    ASSERT_TRUE(offer.ok());
    LocalParameters parameters = answer_parameters();
    parameters.setup = DtlsSetup::kActive;
    const Result<Description> read = parse_offer(build_answer(*offer, parameters));
    ASSERT_TRUE(read.ok()) << read.error().detail;
    EXPECT_EQ(read->ice, parameters.ice);
    EXPECT_EQ(read->setup, DtlsSetup::kActive);
    EXPECT_EQ(read->candidates.size(), 2u);
    EXPECT_TRUE(read->end_of_candidates);
}

TEST(SdpBuild, MakesAnOfferThatCanBeAnswered) {
    LocalParameters parameters = answer_parameters();
    parameters.setup = DtlsSetup::kActpass;
    parameters.session_version = 3;
    const std::string sdp = build_offer(parameters);
    EXPECT_THAT(sdp, HasSubstr("o=- 77 3 IN IP4 127.0.0.1\r\n"));
    EXPECT_THAT(sdp, HasSubstr("a=setup:actpass\r\n"));
    const Result<Description> offer = parse_offer(sdp);
    ASSERT_TRUE(offer.ok()) << offer.error().detail;
    EXPECT_EQ(offer->session_id, "77");
    EXPECT_TRUE(offer->bundled);
    EXPECT_EQ(offer->ice, parameters.ice);
    EXPECT_EQ(offer->sctp_port, 5000);
    EXPECT_EQ(offer->max_message_bytes, 262144u);
    EXPECT_EQ(offer->candidates.size(), 2u);
    EXPECT_TRUE(parse_answer(build_answer(*offer, answer_parameters())).ok());
}

TEST(SdpBuild, LeavesRoomForCandidatesThatCome) {
    LocalParameters parameters = answer_parameters();
    parameters.candidates.clear();
    parameters.end_of_candidates = false;
    const std::string sdp = build_offer(parameters);
    EXPECT_THAT(sdp, Not(HasSubstr("end-of-candidates")));
    EXPECT_THAT(sdp, HasSubstr("m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
                               "c=IN IP4 0.0.0.0\r\n"));
}

TEST(SdpBuild, MakesAFragmentForARestart) {
    EXPECT_EQ(build_fragment(answer_parameters()),
              "a=ice-ufrag:workerXY\r\na=ice-pwd:workerpasswordworkerpass\r\n"
              "a=ice-options:ice2 trickle\r\n"
              "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:0\r\n"
              "a=candidate:1 1 udp 2130706431 192.0.2.9 8081 typ host\r\n"
              "a=candidate:2 1 udp 2130706175 2001:db8::9 8081 typ host\r\n"
              "a=end-of-candidates\r\n");
}

TEST(SdpAnswer, MustSayWhoBeginsTheHandshake) {
    const Result<Description> actpass = parse_answer(chromium_offer());
    ASSERT_FALSE(actpass.ok());
    EXPECT_THAT(actpass.error().detail, HasSubstr("setup"));
    EXPECT_TRUE(parse_answer(with(chromium_offer(), "actpass", "active")).ok());
    const auto rejected =
        with(with(chromium_offer(), "actpass", "active"), "application 9", "application 0");
    EXPECT_EQ(parse_answer(rejected).error().code, ErrorCode::kNotFound);
    EXPECT_EQ(parse_answer("rubbish").error().code, ErrorCode::kInvalid);
}

TEST(SdpOffer, RefusesAnEndlessSessionId) {
    EXPECT_THAT(detail_of(with(chromium_offer(), "4611731400430051336", std::string(65, '1'))),
                HasSubstr("o="));
}

TEST(IceCandidate, ReadsEveryPrefix) {
    const std::string value = "7 1 udp 5 192.0.2.1 1000 typ relay raddr 10.0.0.1 rport 9";
    for (const char* prefix : {"", "candidate:", "a=candidate:"}) {
        const auto candidate = parse_candidate(prefix + value);
        ASSERT_TRUE(candidate.ok());
        ASSERT_TRUE(*candidate);
        EXPECT_EQ((*candidate)->type, CandidateType::kRelayed);
        EXPECT_EQ(format_candidate(**candidate), "candidate:" + value);
    }
}

TEST(IceCandidate, SkipsWhatIsOfNoUse) {
    for (const char* text : {"1 1 tcp 5 192.0.2.1 9 typ host tcptype active",
                             "1 2 udp 5 192.0.2.1 9 typ host", "1 1 udp 5 abc.local 9 typ host",
                             "1 1 udp 5 192.0.2.1 9 typ future", "1 1 udp 5 0.0.0.0 9 typ host",
                             "1 1 udp 5 192.0.2.1 0 typ host", "1 1 udp 5 224.0.0.1 5 typ host"}) {
        const auto candidate = parse_candidate(text);
        ASSERT_TRUE(candidate.ok()) << text;
        EXPECT_FALSE(candidate->has_value()) << text;
    }
}

TEST(IceCandidate, RefusesMalformedOnes) {
    for (const std::string& text :
         {std::string("1 1 udp 5 192.0.2.1 9 typ"), std::string("1 1 udp 5 192.0.2.1 9 type host"),
          std::string("1 x udp 5 192.0.2.1 9 typ host"),
          std::string("1 1 udp -5 192.0.2.1 9 typ host"),
          std::string("1 1 udp 5 192.0.2.1 70000 typ host"), std::string("candidate:"),
          std::string(33, 'f') + " 1 udp 5 192.0.2.1 9 typ host", std::string(2000, 'a')}) {
        EXPECT_FALSE(parse_candidate(text).ok()) << text;
    }
}

TEST(IceCredentials, AreLongAndDiffer) {
    SeededRandom random(1);
    const IceCredentials a = make_ice_credentials(random);
    const IceCredentials b = make_ice_credentials(random);
    EXPECT_GE(a.ufrag.size(), 8u);
    EXPECT_GE(a.password.size(), 24u);
    EXPECT_NE(a.ufrag, b.ufrag);
    EXPECT_NE(a.password, b.password);
}

}  // namespace
}  // namespace kollator::rtc
