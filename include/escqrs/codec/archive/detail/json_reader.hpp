// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/codec/archive/detail/json_scope.hpp>
#include <escqrs/codec/archive/operators.hpp>
#include <escqrs/core/error.hpp>
#include <escqrs/core/text.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace escqrs::inline v0::archive::detail {

/// Takes the tokens of a JSON text (RFC 8259) one by one, strictly. Throws `CodecError` at whatever is not expected.
class JsonReader {
public:
    /// @param scope  where the owner keeps its innermost scope, for error texts
    JsonReader(std::span<const std::byte> bytes, JsonScope* const& scope) noexcept
        : text_{reinterpret_cast<const char*>(bytes.data()), bytes.size()}, scope_{&scope} // NOLINT: char may alias
    {
    }

    std::size_t offset() const noexcept { return at_; }
    void seek(std::size_t offset) noexcept { at_ = offset; }

    /// Where what comes next begins.
    std::size_t next_offset() noexcept
    {
        skip_space();
        return at_;
    }

    /// First character of what comes next, 0 at the end.
    char peek() noexcept
    {
        skip_space();
        return at_ < text_.size() ? text_[at_] : '\0';
    }

    bool take(char punctuation) noexcept
    {
        if (at_ == text_.size() || peek() != punctuation) return false;
        ++at_;
        return true;
    }

    void expect(char punctuation, const char* what)
    {
        if (!take(punctuation)) fail_expected(what);
    }

    /// Takes the opening bracket of an array or object.
    void enter(char bracket, const char* what)
    {
        expect(bracket, what);
        if (++depth_ > max_depth) fail("expected arrays and objects nested at most 64 deep, found more");
    }

    /// Takes the closing bracket if it comes next.
    bool leave(char bracket) noexcept
    {
        if (!take(bracket)) return false;
        --depth_;
        return true;
    }

    /// Takes an object's next key and its colon, if it is `key`, written without escapes.
    bool take_key(std::string_view key, bool first) noexcept
    {
        const std::size_t from = at_;
        if ((first || take(',')) && take('"') && text_.substr(at_).starts_with(key)) {
            at_ += key.size();
            if (at_ < text_.size() && text_[at_++] == '"' && take(':')) return true;
        }
        at_ = from;
        return false;
    }

    void read_key(std::string& key)
    {
        read_text(&key, "a field name");
        expect(':', "':'");
    }

    bool read_boolean();
    bool take_null() noexcept { return peek() == 'n' && take_word("null"); }

    /// Takes a number and returns its text.
    std::string_view read_number();

    /// Takes a string; it is decoded into `text` unless that is null.
    void read_text(std::string* text, const char* what);

    /// Takes a value of any kind, checking its grammar.
    void skip_value();

    void finish()
    {
        skip_space();
        if (at_ != text_.size()) fail_expected("the end");
    }

    [[noreturn, gnu::cold, gnu::noinline]] void fail(const std::string& why) const { fail_at(at_, why); }

    [[noreturn, gnu::cold, gnu::noinline]] void fail_at(std::size_t offset, const std::string& why) const
    {
        throw CodecError{"JSON archive: " + why + " at byte " + std::to_string(offset) + path_phrase(*scope_)};
    }

    [[noreturn, gnu::cold, gnu::noinline]] void fail_expected(const std::string& what) const
    {
        fail("expected " + what + ", found " + describe_next());
    }

private:
    void skip_space() noexcept
    {
        while (at_ < text_.size()) {
            const char character = text_[at_];
            if (character != ' ' && character != '\n' && character != '\r' && character != '\t') return;
            ++at_;
        }
    }

    bool take_word(std::string_view word) noexcept
    {
        if (!text_.substr(at_).starts_with(word)) return false;
        at_ += word.size();
        return true;
    }

    bool digit_here() const noexcept { return at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; }

    void take_digits()
    {
        if (!digit_here()) fail_expected("a digit");
        while (digit_here()) ++at_;
    }

    void read_escape(std::string* text);
    std::uint32_t read_code_unit();
    std::string describe_next() const;

    std::string_view text_;
    JsonScope* const* scope_;
    std::size_t at_ = 0;
    unsigned depth_ = 0;
};

inline bool JsonReader::read_boolean()
{
    const char next = peek();
    if (next == 't' && take_word("true")) return true;
    if (next == 'f' && take_word("false")) return false;
    fail_expected("true or false");
}

inline std::string_view JsonReader::read_number()
{
    const char next = peek();
    if (next != '-' && !digit_here()) fail_expected("a number");
    const std::size_t from = at_;
    if (next == '-') ++at_;
    if (at_ < text_.size() && text_[at_] == '0') ++at_;
    else take_digits();
    if (at_ < text_.size() && text_[at_] == '.') {
        ++at_;
        take_digits();
    }
    if (at_ < text_.size() && (text_[at_] == 'e' || text_[at_] == 'E')) {
        ++at_;
        if (at_ < text_.size() && (text_[at_] == '+' || text_[at_] == '-')) ++at_;
        take_digits();
    }
    return text_.substr(from, at_ - from);
}

inline void JsonReader::read_text(std::string* text, const char* what)
{
    expect('"', what);
    if (text != nullptr) text->clear();
    std::size_t plain = at_; // begin of what has not been copied yet
    const auto copy_plain = [&] {
        if (text != nullptr) text->append(text_, plain, at_ - plain);
    };
    for (;;) {
        if (at_ == text_.size()) fail_expected("'\"' at the end of a string");
        const char character = text_[at_];
        if (character == '"') {
            copy_plain();
            ++at_;
            return;
        }
        if (character == '\\') {
            copy_plain();
            ++at_;
            read_escape(text);
            plain = at_;
        } else if (static_cast<unsigned char>(character) < 0x20) {
            fail_expected("a control character in a string to be escaped");
        } else if (static_cast<unsigned char>(character) < 0x80) {
            ++at_;
        } else {
            const std::size_t length = utf8_sequence_length(text_.substr(at_));
            if (length == 0) fail_expected("a string in valid UTF-8");
            at_ += length;
        }
    }
}

inline void JsonReader::read_escape(std::string* text)
{
    constexpr std::string_view letters = "\"\\/bfnrt";
    constexpr std::string_view meanings = "\"\\/\b\f\n\r\t";
    const std::size_t letter = at_ < text_.size() ? letters.find(text_[at_]) : std::string_view::npos;
    if (letter != std::string_view::npos) {
        ++at_;
        if (text != nullptr) text->push_back(meanings[letter]);
        return;
    }
    const std::size_t begin = at_ - 1; // of the backslash
    std::uint32_t code_point = read_code_unit();
    if (code_point >= 0xDC00U && code_point <= 0xDFFFU)
        fail_at(begin, "expected a high surrogate first, found a low one");
    if (code_point >= 0xD800U && code_point <= 0xDBFFU) {
        if (at_ == text_.size() || text_[at_] != '\\') fail_expected("the escape of a low surrogate");
        ++at_;
        const std::uint32_t low = read_code_unit();
        if (low < 0xDC00U || low > 0xDFFFU) fail_at(begin, "expected a low surrogate second, found another character");
        code_point = 0x10000U + ((code_point - 0xD800U) << 10U) + (low - 0xDC00U);
    }
    if (text != nullptr) append_utf8(*text, code_point);
}

inline std::uint32_t JsonReader::read_code_unit()
{
    if (at_ == text_.size() || text_[at_] != 'u') fail_expected("one of \"\\/bfnrtu after a backslash");
    ++at_;
    std::uint32_t unit = 0;
    for (unsigned count = 0; count < 4; ++count, ++at_) {
        const char digit = at_ < text_.size() ? text_[at_] : '\0';
        unit <<= 4U;
        if (digit >= '0' && digit <= '9') unit += static_cast<std::uint32_t>(digit - '0');
        else if (digit >= 'a' && digit <= 'f') unit += static_cast<std::uint32_t>(digit - 'a' + 10);
        else if (digit >= 'A' && digit <= 'F') unit += static_cast<std::uint32_t>(digit - 'A' + 10);
        else fail_expected("four hexadecimal digits after \\u");
    }
    return unit;
}

/// Recursion ends at `max_depth`.
inline void JsonReader::skip_value() // NOLINT(misc-no-recursion)
{
    switch (peek()) {
    case '{':
        enter('{', "an object");
        if (leave('}')) return;
        do {
            read_text(nullptr, "a field name");
            expect(':', "':'");
            skip_value();
        } while (take(','));
        if (!leave('}')) fail_expected("',' or '}'");
        return;
    case '[':
        enter('[', "an array");
        if (leave(']')) return;
        do {
            skip_value();
        } while (take(','));
        if (!leave(']')) fail_expected("',' or ']'");
        return;
    case '"': return read_text(nullptr, "a string");
    case 't':
    case 'f': read_boolean(); return;
    case 'n':
        if (!take_null()) fail_expected("a value");
        return;
    default:
        if (peek() != '-' && !digit_here()) fail_expected("a value");
        read_number();
    }
}

inline std::string JsonReader::describe_next() const
{
    if (at_ >= text_.size()) return "the end";
    const char next = text_[at_];
    if (next == '"') return "a string";
    if (next == '{') return "an object";
    if (next == '[') return "an array";
    if (next == '-' || digit_here()) return "a number";
    for (const std::string_view word : {"true", "false", "null"}) {
        if (text_.substr(at_).starts_with(word)) return std::string{word};
    }
    const auto byte = static_cast<unsigned char>(next);
    if (byte >= 0x20 && byte < 0x7F) return {'\'', next, '\''};
    return "byte value " + std::to_string(byte);
}

} // namespace escqrs::inline v0::archive::detail
