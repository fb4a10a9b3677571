// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#if !__has_include(<boost/archive/archive_exception.hpp>)
#error                                                                                                                 \
    "escqrs: archive::BoostText and archive::BoostXml need Boost.Serialization: install it, and link Boost::serialization"
#endif

#include <escqrs/core/error.hpp>
#include <escqrs/core/readable_text.hpp>

#include <boost/archive/archive_exception.hpp>

#include <cstddef>
#include <ios>
#include <iterator>
#include <limits>
#include <locale>
#include <span>
#include <streambuf>
#include <string>
#include <string_view>
#include <vector>

namespace escqrs::inline v0::archive::detail {

/// Which of Boost's archives; the two differ in what they cannot hold and in how their bytes begin and end.
struct BoostForm {
    std::string_view name;
    std::string_view first; ///< the bytes of every archive begin so
    std::string_view last;  ///< and end so
    bool is_xml = false;
};

/// Appends what is written to a vector.
class BoostOutputBuffer : public std::streambuf {
public:
    BoostOutputBuffer(std::vector<std::byte>& out, const BoostForm& form) noexcept
        : out_{&out}, begin_{out.size()}, form_{&form}
    {
    }

    /// What has been written.
    std::string_view text() const noexcept
    {
        return {reinterpret_cast<const char*>(out_->data()) + begin_, out_->size() - begin_}; // NOLINT: char aliases
    }

private:
    int_type overflow(int_type character) override
    {
        const char byte = traits_type::to_char_type(character);
        return xsputn(&byte, 1) == 1 ? character : traits_type::eof();
    }

    std::streamsize xsputn(const char* text, std::streamsize length) override
    {
        const std::string_view added{text, static_cast<std::size_t>(length)};
        if (form_->is_xml) require_xml_text(added);
        const auto* const bytes = reinterpret_cast<const std::byte*>(text); // NOLINT: bytes alias
        out_->insert(out_->end(), bytes, bytes + length);
        return length;
    }

    /// Boost writes every character as it is, and then cannot read these.
    void require_xml_text(std::string_view text) const
    {
        for (const char character : text) {
            const auto code = static_cast<unsigned char>(character);
            if (code < 0x20 && code != '\t' && code != '\n' && code != '\r')
                throw CodecError{std::string{form_->name} + ": cannot write: XML has no control character " +
                                 std::to_string(code)};
        }
    }

    std::vector<std::byte>* out_;
    std::size_t begin_;
    const BoostForm* form_;
};

/// Reads bytes where they are.
class BoostInputBuffer : public std::streambuf {
public:
    explicit BoostInputBuffer(std::span<const std::byte> bytes) noexcept
    {
        auto* const first = reinterpret_cast<char*>(const_cast<std::byte*>(bytes.data())); // NOLINT: only read
        setg(first, first, first + bytes.size());
    }

    std::string_view text() const noexcept { return {eback(), static_cast<std::size_t>(egptr() - eback())}; }
    std::string_view rest() const noexcept { return text().substr(offset()); }
    std::size_t offset() const noexcept { return static_cast<std::size_t>(gptr() - eback()); }
};

/// Refuses numbers that are not finite: Boost writes "nan" and "inf", and then cannot read them.
class FiniteNumbers : public std::num_put<char> {
    using std::num_put<char>::do_put;

    iter_type do_put(iter_type to, std::ios_base& stream, char fill, double value) const override
    {
        require_finite(value);
        return std::num_put<char>::do_put(to, stream, fill, value);
    }

    iter_type do_put(iter_type to, std::ios_base& stream, char fill, long double value) const override
    {
        require_finite(value);
        return std::num_put<char>::do_put(to, stream, fill, value);
    }

    template <class Number>
    static void require_finite(Number value)
    {
        if (value >= std::numeric_limits<Number>::lowest() && value <= std::numeric_limits<Number>::max()) return;
        throw CodecError{"Boost archive: cannot write: the number is not finite"};
    }
};

/// That of the streams, whatever the program's is.
inline const std::locale& boost_locale()
{
    static const std::locale locale{std::locale::classic(), new FiniteNumbers};
    return locale;
}

[[noreturn, gnu::cold, gnu::noinline]] inline void fail_boost_writing(const BoostForm& form, const std::string& why)
{
    throw CodecError{std::string{form.name} + ": cannot write: " + why};
}

[[noreturn, gnu::cold, gnu::noinline]] inline void
fail_boost_reading(const BoostForm& form, const BoostInputBuffer& buffer, const std::string& expected)
{
    constexpr std::size_t shown = 32;
    const std::string_view text = buffer.text();
    const std::size_t at = buffer.offset();
    const std::size_t from = at < shown ? 0 : at - shown;
    const auto quoted = [](std::string_view part) { return "'" + readable(part, shown) + "'"; };
    throw CodecError{std::string{form.name} + ": expected " + expected + ", found " + quoted(text.substr(at)) +
                     " at byte " + std::to_string(at) + " of " + std::to_string(text.size()) + ", after " +
                     quoted(text.substr(from, at - from))};
}

inline constexpr std::string_view exported_class = "a class that this program exports with BOOST_CLASS_EXPORT, in a "
                                                   "file that includes boost_text.hpp or boost_xml.hpp";

/// What Boost does not write.
inline std::string refused_by_boost(const boost::archive::archive_exception& error)
{
    std::string why = error.what();
    if (error.code == boost::archive::archive_exception::unregistered_class)
        why.append(": expected ").append(exported_class);
    return why;
}

/// What Boost expected; its own texts say what went wrong.
inline std::string expected_by_boost(const boost::archive::archive_exception& error)
{
    using Code = boost::archive::archive_exception;
    const std::string why = std::string{" ("} + error.what() + ")";
    switch (error.code) {
    case Code::input_stream_error: return "another value"; // the rest of the text is that of errno
    case Code::unsupported_version: return "the archive of a Boost that is not newer than this program's" + why;
    case Code::unsupported_class_version: return "a class version that this program knows" + why;
    case Code::unregistered_class: return std::string{exported_class} + why;
    default: return "what Boost wrote" + why;
    }
}

} // namespace escqrs::inline v0::archive::detail
