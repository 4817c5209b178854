#include "crypto/base64.h"

#include <openssl/evp.h>

#include <algorithm>

namespace kollator::crypto {

std::string base64(ByteSpan bytes) {
    // Four characters for each three bytes begun, and OpenSSL's zero.
    std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
    const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes.data(),
                                     static_cast<int>(bytes.size()));
    text.resize(static_cast<std::size_t>(size));
    return text;
}

std::string base64url(ByteSpan bytes) {
    std::string text = base64(bytes);
    while (text.ends_with('=')) text.pop_back();
    std::replace(text.begin(), text.end(), '+', '-');
    std::replace(text.begin(), text.end(), '/', '_');
    return text;
}

std::optional<Bytes> from_base64url(std::string_view text) {
    if (text.find_first_of("+/= \t\r\n") != std::string_view::npos) return std::nullopt;
    std::string plain(text);
    std::replace(plain.begin(), plain.end(), '-', '+');
    std::replace(plain.begin(), plain.end(), '_', '/');
    const std::size_t padding = (4 - plain.size() % 4) % 4;
    plain.append(padding, '=');
    Bytes bytes(plain.size() / 4 * 3);
    const int size =
        EVP_DecodeBlock(bytes.data(), reinterpret_cast<const unsigned char*>(plain.data()),
                        static_cast<int>(plain.size()));
    if (size < 0 || padding > static_cast<std::size_t>(size)) return std::nullopt;
    bytes.resize(static_cast<std::size_t>(size) - padding);
    // One spelling for each value: OpenSSL takes any last bits, and three characters of padding.
    if (base64url(bytes) != text) return std::nullopt;
    return bytes;
}

}  // namespace kollator::crypto
