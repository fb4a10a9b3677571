// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "shown_text.hpp"

#include "encoding.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <system_error>
#include <utility>

namespace service_bus {
namespace {

constexpr std::size_t longest_line = 300;
constexpr std::size_t least_part = 8; ///< of a token; a shorter part may be anything

/// A text, and where in another one each of its bytes begins; one place more for the end.
struct Decoded {
    std::string text;
    std::vector<std::size_t> begins;
};

Decoded undecoded(std::string_view text)
{
    Decoded decoded{std::string{text}, {}};
    for (std::size_t at = 0; at <= text.size(); ++at) decoded.begins.push_back(at);
    return decoded;
}

/// What is no percent-encoding stays as it is.
Decoded percent_decoded(const Decoded& from)
{
    Decoded to;
    for (std::size_t at = 0; at < from.text.size();) {
        const std::string_view digits = std::string_view{from.text}.substr(at + 1, 2);
        unsigned value = 0;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
        const bool is_encoded =
            from.text[at] == '%' && error == std::errc{} && end == digits.data() + 2 && digits.size() == 2;
        to.text.push_back(is_encoded ? static_cast<char>(value) : from.text[at]);
        to.begins.push_back(from.begins[at]);
        at += is_encoded ? 3 : 1;
    }
    to.begins.push_back(from.begins.back());
    return to;
}

/// A form in which a secret may be shown, with the letters around it that hold some of its bits.
struct Form {
    std::string text;
    std::size_t before = 0;
    std::size_t after = 0;
};

/// What stands in the base64 of any text that holds `secret` after 3n + `shift` bytes.
Form base64_form(std::string_view secret, std::size_t shift)
{
    std::string text = base64(octets_of(std::string(shift, '\0') + std::string{secret}));
    text.erase(std::min(text.find('='), text.size()));
    const bool is_whole = (shift + secret.size()) % 3 == 0;
    if (!is_whole) text.pop_back();
    text.erase(0, shift == 0 ? 0 : shift + 1);
    return {std::move(text), shift == 0 ? 0U : 1U, is_whole ? 0U : 1U};
}

std::vector<Form> forms_of(const std::string& secret)
{
    std::vector<Form> forms{{secret}};
    std::string with_plus = secret; // as a form has it
    std::ranges::replace(with_plus, ' ', '+');
    forms.push_back({std::move(with_plus)});
    for (std::size_t shift = 0; shift < 3; ++shift) {
        Form form = base64_form(secret, shift);
        forms.push_back(form);
        std::ranges::replace(form.text, '+', '-');
        std::ranges::replace(form.text, '/', '_');
        forms.push_back(std::move(form));
    }
    std::erase_if(forms, [](const Form& form) { return form.text.empty(); });
    return forms;
}

void mark(const Decoded& decoded, const Form& form, std::vector<bool>& secret_bytes)
{
    const std::string& text = decoded.text;
    for (auto at = text.find(form.text); at != std::string::npos; at = text.find(form.text, at + 1)) {
        const std::size_t begin = at - std::min(at, form.before);
        const std::size_t end = std::min(at + form.text.size() + form.after, text.size());
        for (std::size_t byte = decoded.begins[begin]; byte < decoded.begins[end]; ++byte) secret_bytes[byte] = true;
    }
}

std::string masked(std::string_view text, std::span<const std::string> secrets)
{
    std::vector<bool> secret_bytes(text.size());
    Decoded decoded = undecoded(text);
    for (int times = 0; times <= 2; ++times) {
        if (times > 0) decoded = percent_decoded(decoded);
        for (const std::string& secret : secrets) {
            for (const Form& form : forms_of(secret)) mark(decoded, form, secret_bytes);
        }
    }
    std::string result;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (!secret_bytes[at]) result.push_back(text[at]);
        else if (at == 0 || !secret_bytes[at - 1]) result += "***";
    }
    return result;
}

} // namespace

std::string one_line(std::string_view text)
{
    // NEL and the other C1 controls, and the line and paragraph separators, in UTF-8.
    const auto length_of_control = [](std::string_view rest) -> std::size_t {
        const auto byte = [rest](std::size_t at) { return static_cast<unsigned char>(rest[at]); };
        if (byte(0) < 0x20 || byte(0) == 0x7F) return 1;
        if (rest.size() >= 2 && byte(0) == 0xC2 && byte(1) >= 0x80 && byte(1) < 0xA0) return 2;
        return rest.starts_with("\xE2\x80\xA8") || rest.starts_with("\xE2\x80\xA9") ? 3 : 0;
    };
    std::string line;
    line.reserve(text.size());
    while (!text.empty()) {
        const std::size_t length = length_of_control(text);
        line.push_back(length == 0 ? text.front() : ' ');
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return line;
}

std::string shown(std::string_view text, std::span<const std::string> secrets)
{
    std::string line = one_line(masked(text, secrets));
    if (line.size() <= longest_line) return line;
    std::size_t end = longest_line;
    while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xC0U) == 0x80U) --end; // not within a character
    line.resize(end);
    return line;
}

std::vector<std::string> secrets_of(const AccessToken& token)
{
    std::vector<std::string> secrets{token.text};
    const bool is_signature = token.type == TokenType::shared_access_signature;
    const std::string_view mark_of_signature = is_signature ? "sig=" : ".";
    const auto mark_at = token.text.rfind(mark_of_signature);
    if (mark_at == std::string::npos) return secrets;
    std::string part = token.text.substr(mark_at + mark_of_signature.size());
    if (is_signature) part = percent_decoded(undecoded(part.substr(0, part.find('&')))).text;
    if (part.size() >= least_part) secrets.push_back(std::move(part));
    return secrets;
}

} // namespace service_bus
