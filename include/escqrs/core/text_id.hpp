// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/error_base.hpp>
#include <escqrs/core/identifiers.hpp>
#include <escqrs/core/text.hpp>

#include <compare>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace escqrs::inline v0 {

namespace detail {

/// Says what is wrong with a text that is not an id.
inline std::string text_id_problem(const std::string& text, std::size_t most)
{
    std::string found = text.size() > most ? std::to_string(text.size()) + " bytes '" : "'";
    append_printable(found, std::string_view{text}.substr(0, most));
    const bool is_utf8 = archive::detail::is_utf8(text);
    return "not a text id: expected " +
           (is_utf8 ? "1 to " + std::to_string(most) + " bytes without control characters" : std::string{"UTF-8"}) +
           ", found " + found + "'";
}

} // namespace detail

/// A text that identifies a `Tag`, such as an article number: ids of different things do not mix. The default is empty,
/// which means "none".
///
/// It has 1 to `max_length` bytes of UTF-8, without control characters; hyphens are allowed. With a category of at most
/// 31 bytes it makes a `StreamId`, except for the text of the nil UUID, which a `StreamId` refuses.
template <class Tag>
class TextId {
public:
    static constexpr std::size_t max_length = 96; ///< bytes

    TextId() noexcept = default;

    /// @throws InvalidIdentifier if `text` is empty, too long, not UTF-8, or holds a control character
    explicit TextId(std::string_view text) : value_{text}
    {
        if (!is_valid()) throw InvalidIdentifier{problem()};
    }

    /// The same as the constructor.
    static TextId parse(std::string_view text) { return TextId{text}; }

    const std::string& value() const noexcept { return value_; } ///< empty if nil
    bool is_nil() const noexcept { return value_.empty(); }      ///< true for "none"

    friend bool operator==(const TextId& left, const TextId& right) noexcept { return left.value_ == right.value_; }
    friend std::strong_ordering operator<=>(const TextId& left, const TextId& right) noexcept
    {
        return left.value_ <=> right.value_;
    }

    /// A text; the empty one is "none".
    /// @throws CodecError if what is read is not such a text
    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & value_;
        if constexpr (Archive::is_loading::value) check_stored();
    }

    /// The id whose text was read by an archive.
    /// @throws CodecError if it is not such a text
    static TextId from_stored(const std::string& text)
    {
        TextId id;
        id.value_ = text;
        id.check_stored();
        return id;
    }

private:
    bool is_valid() const noexcept
    {
        for (const char character : value_) {
            if (detail::is_control(character)) return false;
        }
        return !value_.empty() && value_.size() <= max_length && archive::detail::is_utf8(value_);
    }

    void check_stored() const
    {
        if (!is_nil() && !is_valid()) throw CodecError{problem()};
    }

    std::string problem() const { return detail::text_id_problem(value_, max_length); }

    std::string value_;
};

/// The text as it is.
template <class Tag>
std::string to_string(const TextId<Tag>& id)
{
    return id.value();
}

namespace detail {

/// The types of ids that an aggregate may name.
template <class T>
inline constexpr bool is_id = false;
template <class Tag>
inline constexpr bool is_id<Id<Tag>> = true;
template <class Tag>
inline constexpr bool is_id<TextId<Tag>> = true;

} // namespace detail

} // namespace escqrs::inline v0

template <class Tag>
struct std::hash<escqrs::TextId<Tag>> {
    std::size_t operator()(const escqrs::TextId<Tag>& id) const noexcept
    {
        return std::hash<std::string>{}(id.value());
    }
};
