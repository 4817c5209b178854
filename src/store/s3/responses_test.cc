#include "store/s3/responses.h"

#include <gtest/gtest.h>

#include "store/object_store.h"
#include "store/s3/xml.h"

namespace kollator::store::s3 {
namespace {

const std::string kList = R"(<?xml version="1.0" encoding="UTF-8"?>
<!-- as AWS sends it -->
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
  <Name>bucket</Name><Prefix/><KeyCount>2</KeyCount>
  <MaxKeys>1000</MaxKeys>
  <IsTruncated>true</IsTruncated>
  <Contents><Key>chunks/a&amp;b&#x41;&#233;</Key><LastModified>x</LastModified>
    <ETag>&quot;fba9&quot;</ETag><Size>434234</Size>
    <Owner><ID>8a6</ID><Key>not this one</Key></Owner></Contents>
  <Contents><Size>0</Size><Key><![CDATA[chunks/<c>]]></Key></Contents>
  <CommonPrefixes><Prefix>photos/</Prefix></CommonPrefixes>
</ListBucketResult>
)";

std::string list_of(std::size_t entries) {
    std::string xml = "<ListBucketResult>";
    for (std::size_t i = 0; i < entries; ++i) {
        xml += "<Contents><Key>k" + std::to_string(i) + "</Key><Size>1</Size></Contents>";
    }
    return xml + "</ListBucketResult>";
}

TEST(ListResponse, IsReadWithItsKeysUnescaped) {
    const auto list = parse_list(kList);
    ASSERT_TRUE(list.ok()) << list.error().detail;
    EXPECT_TRUE(list->truncated);
    ASSERT_EQ(list->objects.size(), 2U);
    EXPECT_EQ(list->objects[0].key, "chunks/a&bA\xC3\xA9");
    EXPECT_EQ(list->objects[0].size_bytes, 434234U);
    EXPECT_EQ(list->objects[1].key, "chunks/<c>");
    EXPECT_EQ(list->objects[1].size_bytes, 0U);
}

TEST(ListResponse, CutShortAnywhereIsRefused) {
    const std::size_t end = kList.rfind('>') + 1;
    for (std::size_t length = 0; length < end; ++length) {
        EXPECT_FALSE(parse_list(kList.substr(0, length)).ok()) << length;
    }
    EXPECT_TRUE(parse_list(kList.substr(0, end)).ok());
}

TEST(ListResponse, RefusesOtherDocumentsAndBrokenEntries) {
    for (const char* xml :
         {"<Error><Code>x</Code></Error>", "<html/>", "no xml",
          "<ListBucketResult><IsTruncated>maybe</IsTruncated></ListBucketResult>",
          "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
          "<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>",
          "<ListBucketResult><Contents><Key>a</Key><Size>-1</Size></Contents></ListBucketResult>",
          "<ListBucketResult><Contents><Key>a</Key><Size>18446744073709551616</Size></Contents>"
          "</ListBucketResult>"}) {
        EXPECT_EQ(parse_list(xml).error().code, ErrorCode::kCorrupt) << xml;
    }
}

TEST(ListResponse, IsBounded) {
    EXPECT_EQ(parse_list(list_of(kMaxListEntries))->objects.size(), kMaxListEntries);
    EXPECT_FALSE(parse_list(list_of(kMaxListEntries + 1)).ok());
}

TEST(ListResponse, TellsWhenAnObjectWasStored) {
    const auto list = parse_list(
        "<ListBucketResult><IsTruncated>false</IsTruncated>"
        "<Contents><Key>a</Key><LastModified>2009-10-12T17:50:30.000Z</LastModified><Size>1</Size>"
        "</Contents><Contents><Key>b</Key><Size>1</Size></Contents></ListBucketResult>");
    ASSERT_TRUE(list);
    EXPECT_EQ(list->objects[0].modified_s, 1'255'369'830);
    EXPECT_EQ(list->objects[1].modified_s, 0);
}

TEST(ParseTime, TakesUtcAndNothingElse) {
    EXPECT_EQ(parse_time("1970-01-01T00:00:01Z"), 1);
    EXPECT_EQ(parse_time("2024-02-29T23:59:59.123456Z"), 1'709'251'199);
    const std::string good = "2009-10-12T17:50:30Z";
    for (std::size_t cut = 0; cut < good.size(); ++cut)
        EXPECT_EQ(parse_time(good.substr(0, cut)), 0);
    for (const char* wrong :
         {"2009-13-12T17:50:30Z", "2009-02-29T17:50:30Z", "2009-10-12T24:50:30Z",
          "2009-10-12T17:60:30Z", "2009-10-12 17:50:30Z", "2009-10-12T17:50:30+01:00",
          "0000-00-00T00:00:00Z", "-009-10-12T17:50:30Z"}) {
        EXPECT_EQ(parse_time(wrong), 0) << wrong;
    }
}

TEST(ErrorResponse, GivesCodeAndMessage) {
    const auto error = parse_error(
        "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>Please\nreduce</Message>"
        "<Detail><Code>Other</Code></Detail></Error>");
    EXPECT_EQ(error.code, "SlowDown");
    EXPECT_EQ(error.message, "Please reduce");
}

TEST(ErrorResponse, IsEmptyForWhatIsNoError) {
    EXPECT_EQ(parse_error("").code, "");
    EXPECT_EQ(parse_error("<html><Code>SlowDown</Code></html>").code, "");
    EXPECT_EQ(parse_error("<h1>503</h1>").code, "");
    EXPECT_EQ(parse_error("<Error><Code>" + std::string(1000, 'x') + "</Code></Error>").code.size(),
              64U);
}

void read_to_the_end(XmlReader& reader, Result<XmlReader::Event>& event) {
    do {
        event = reader.next();
    } while (event && *event != XmlReader::Event::kEnd);
}

TEST(XmlReader, RefusesWhatIsNoXmlOrTooMuchOfIt) {
    std::string deep;
    for (int i = 0; i < 17; ++i) deep += "<a>";
    for (const std::string& xml :
         {std::string("<a></b>"), std::string("<a/><b/>"), std::string("</a>"),
          std::string("<a>&x;</a>"), std::string("<a>&#xD800;</a>"), std::string("<a>&#0;</a>"),
          std::string("<a>&#65</a>"), std::string("<!DOCTYPE a [<!ENTITY x 'y'>]><a/>"),
          std::string("text<a/>"), std::string("<a/>text"), std::string("<a x></a>"),
          std::string("<a x=y></a>"), std::string("<a x='1'y='2'></a>"), std::string("< a/>"),
          std::string("<a/ >"), "<" + std::string(129, 'n') + "/>", deep, std::string("")}) {
        XmlReader reader(xml);
        auto event = reader.next();
        if (event) read_to_the_end(reader, event);
        EXPECT_FALSE(event.ok()) << xml;
    }
}

TEST(XmlReader, ReadsAttributesPrefixesAndEmptyElements) {
    XmlReader reader("<s3:a x = \"<>\" y='&'><b/></s3:a >");
    EXPECT_EQ(reader.next().value(), XmlReader::Event::kOpen);
    EXPECT_EQ(reader.name(), "a");
    EXPECT_EQ(reader.next().value(), XmlReader::Event::kOpen);
    EXPECT_EQ(reader.name(), "b");
    EXPECT_EQ(reader.next().value(), XmlReader::Event::kClose);
    EXPECT_EQ(reader.depth(), 1U);
    EXPECT_EQ(reader.next().value(), XmlReader::Event::kClose);
    EXPECT_EQ(reader.name(), "a");
    EXPECT_EQ(reader.next().value(), XmlReader::Event::kEnd);
}

TEST(XmlReader, DoesNotRecurseOverAMillionComments) {
    std::string xml;
    for (int i = 0; i < 1'000'000; ++i) xml += "<!---->";
    xml += "<a/>";
    XmlReader reader(xml);
    EXPECT_EQ(reader.next().value(), XmlReader::Event::kOpen);
}

}  // namespace
}  // namespace kollator::store::s3
