#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kollator::store::s3 {

/// Reads the XML that S3 servers answer, one event after the other. It knows what they use and
/// refuses the rest: elements, text, the five named entities, numeric references, CDATA, comments
/// and a declaration, but no DOCTYPE (and with it no entity of the document's own). Attributes are
/// skipped. Depth and the length of names are bounded; it does not recurse. The input outlives it.
///
/// Written here because the answers are small and plain, while Debian's pugixml and tinyxml2 build
/// a tree of whatever comes, let broken documents pass, and bound no depth.
class XmlReader {
 public:
    enum class Event { kOpen, kText, kClose, kEnd };

    explicit XmlReader(std::string_view input) : rest_(input) {}

    /// After kEnd or an error nothing more may be asked. kCorrupt: no XML, or not of this kind.
    Result<Event> next();

    /// The element of the last kOpen or kClose, without its namespace prefix.
    std::string_view name() const { return name_; }
    /// The last kText, unescaped. One text may come as several events, split at CDATA or comments.
    const std::string& text() const { return text_; }
    /// The number of elements that are open; after kClose without the one that was closed.
    std::size_t depth() const { return open_.size(); }

    static constexpr std::size_t kMaxDepth = 16;
    static constexpr std::size_t kMaxNameBytes = 128;

 private:
    Result<Event> tag();
    Result<Event> open_tag();
    Result<Event> close_tag();
    Result<Event> character_data();
    bool skip_past(std::string_view end);
    bool skip_attributes();
    std::string_view take_name();
    bool take(std::string_view what);
    void skip_spaces();
    bool append_reference();
    Error broken(std::string_view why) const;

    std::string_view rest_;
    std::vector<std::string_view> open_;  ///< full names
    std::string_view name_;
    std::string text_;
    bool seen_root_ = false;
    bool close_pending_ = false;  ///< "<a/>" is told as kOpen and kClose
};

}  // namespace kollator::store::s3
