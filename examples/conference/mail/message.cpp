// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "message.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <ctime>
#include <iomanip>
#include <locale>
#include <sstream>
#include <string_view>

namespace mail {
namespace {

constexpr std::size_t max_line_length = 998; // RFC 5322, section 2.1.1
constexpr std::size_t max_quoted_line = 76;  // RFC 2045, section 6.7, and RFC 2047, section 2

bool is_printable_ascii(char c) { return c >= 0x20 && c < 0x7F; }

std::string base64(std::string_view bytes)
{
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        std::uint32_t group = 0;
        for (std::size_t index = 0; index < 3; ++index) {
            group = group << 8U | (at + index < bytes.size() ? static_cast<std::uint8_t>(bytes[at + index]) : 0U);
        }
        for (std::size_t index = 0; index < 4; ++index) {
            text.push_back(at + index <= bytes.size() ? digits[group >> (18U - 6U * index) & 0x3FU] : '=');
        }
    }
    return text;
}

/// Text of a header: as it is if it is ASCII, else as encoded words of RFC 2047.
std::string header_text(const std::string& text)
{
    const auto is_control = [](char c) { return static_cast<std::uint8_t>(c) < 0x20 || c == 0x7F; };
    if (std::ranges::any_of(text, is_control)) throw Refused{"mail: a header holds a control character"};
    if (text.size() < max_quoted_line && std::ranges::all_of(text, is_printable_ascii)) return text;
    constexpr std::size_t max_bytes = 42; // so that a word has at most 75 characters
    std::string words;
    for (std::string_view rest = text; !rest.empty();) {
        std::size_t length = std::min(rest.size(), max_bytes);
        while (length > 1 && length < rest.size() && (static_cast<std::uint8_t>(rest[length]) & 0xC0U) == 0x80U)
            --length;
        if (!words.empty()) words += "\r\n ";
        words.append("=?UTF-8?B?").append(base64(rest.substr(0, length))).append("?=");
        rest.remove_prefix(length);
    }
    return words;
}

/// RFC 5322 `phrase`: quoted unless it is plain words.
std::string display_name(const std::string& name)
{
    const bool is_words = std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ' ';
    });
    if (is_words || !std::ranges::all_of(name, is_printable_ascii)) return header_text(name);
    std::string quoted = "\"";
    for (const char c : name) {
        if (c == '"' || c == '\\') quoted.push_back('\\');
        quoted.push_back(c);
    }
    return quoted + '"';
}

/// RFC 5322 `date-time` in UTC.
std::string date_text(std::chrono::sys_seconds time)
{
    const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    std::ostringstream text;
    text.imbue(std::locale::classic()); // names in English
    text << std::put_time(&utc, "%a, %d %b %Y %H:%M:%S +0000");
    return text.str();
}

void append_quoted_printable(std::string& out, std::string_view line)
{
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::size_t length = 0;
    for (std::size_t index = 0; index < line.size(); ++index) {
        const char c = line[index];
        const bool is_last = index + 1 == line.size();
        const bool literal = is_printable_ascii(c) && c != '=' && (c != ' ' || !is_last);
        const std::size_t width = literal ? 1 : 3;
        if (length + width > max_quoted_line - (is_last ? 0U : 1U)) {
            out += "=\r\n";
            length = 0;
        }
        if (literal) {
            out.push_back(c);
        } else {
            const auto byte = static_cast<std::uint8_t>(c);
            out.append(1, '=').append(1, digits[byte >> 4U]).append(1, digits[byte & 0x0FU]);
        }
        length += width;
    }
}

template <class Visitor>
void for_each_line(std::string_view text, Visitor visit)
{
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        visit(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
}

bool is_plain(std::string_view text)
{
    bool plain = true;
    for_each_line(text, [&](std::string_view line) {
        plain = plain && line.size() <= max_line_length && std::ranges::all_of(line, is_printable_ascii);
    });
    return plain;
}

} // namespace

const std::string& checked_address(const std::string& text)
{
    const bool safe = std::ranges::all_of(text, [](char c) {
        return is_printable_ascii(c) && std::string_view{" <>\"(),;\\"}.find(c) == std::string_view::npos;
    });
    if (text.empty() || text.size() > 320 || !safe)
        throw Refused{"mail: not an address: '" + text.substr(0, 100) + "'"};
    return text;
}

std::string to_rfc5322(const Message& mail)
{
    const bool plain = is_plain(mail.text);
    std::string out;
    const auto header = [&](std::string_view name, std::string_view value) {
        out.append(name).append(": ").append(value).append("\r\n");
    };
    header("Date", date_text(mail.date));
    header("From", display_name(mail.from_name) + " <" + checked_address(mail.from) + ">");
    header("To", "<" + checked_address(mail.to) + ">");
    header("Message-ID", "<" + checked_address(mail.message_id) + ">");
    header("Subject", header_text(mail.subject));
    header("Auto-Submitted", "auto-generated"); // RFC 3834: asks other programs not to answer
    header("MIME-Version", "1.0");
    header("Content-Type", "text/plain; charset=utf-8");
    header("Content-Transfer-Encoding", plain ? "7bit" : "quoted-printable");
    out += "\r\n";
    for_each_line(mail.text, [&](std::string_view line) {
        if (plain) out.append(line);
        else append_quoted_printable(out, line);
        out += "\r\n";
    });
    return out;
}

} // namespace mail
