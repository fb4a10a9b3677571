// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/error_base.hpp>
#include <escqrs/core/hex.hpp>
#include <escqrs/core/text.hpp>

#include <boost/uuid/uuid.hpp>

#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

namespace escqrs::inline v0 {

/// 128 bits, as Boost has them: `data` holds the bytes in the order of the text.
using Uuid = boost::uuids::uuid;

/// Formats a UUID as 36 lower-case characters (RFC 9562, section 4).
std::string to_string(const Uuid& uuid);

/// Appends that text to `out`.
void append_text(const Uuid& uuid, std::string& out);

/// Parses the 36-character text form; upper and lower case are accepted.
/// @throws InvalidIdentifier on anything else
Uuid parse_uuid(std::string_view text);

/// A UUID that identifies a `Tag`: ids of different things do not mix. The default is nil, which means "none".
template <class Tag>
class Id {
public:
    constexpr Id() noexcept : value_{} {}
    /// The nil UUID is allowed.
    explicit constexpr Id(const Uuid& value) noexcept : value_{value} {}

    /// @throws InvalidIdentifier if `text` is not a UUID
    static Id parse(std::string_view text) { return Id{parse_uuid(text)}; }

    constexpr const Uuid& value() const noexcept { return value_; } ///< all zeros if nil
    bool is_nil() const noexcept { return value_.is_nil(); }        ///< true for "none"

    friend bool operator==(const Id& left, const Id& right) noexcept { return left.value_ == right.value_; }
    friend std::strong_ordering operator<=>(const Id& left, const Id& right) noexcept
    {
        return std::memcmp(left.value_.data, right.value_.data, sizeof(Uuid::data)) <=> 0;
    }

    /// Reads or writes the UUID, without a name of its own.
    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & value_;
    }

private:
    Uuid value_;
};

/// The 36 lower-case characters of its UUID.
template <class Tag>
std::string to_string(const Id<Tag>& id)
{
    return escqrs::to_string(id.value()); // Boost has one too, which argument-dependent lookup may find
}

using EventId = Id<struct EventIdTag>;
using CommandId = Id<struct CommandIdTag>;
using CorrelationId = Id<struct CorrelationIdTag>;
using CausationId = Id<struct CausationIdTag>;
using LogId = Id<struct LogIdTag>; ///< of a whole log of events

/// Number of events in a stream up to and including one of them: the first event is version 1, "no stream" is 0.
class StreamVersion {
public:
    constexpr StreamVersion() noexcept = default;
    /// `value` is not checked.
    explicit constexpr StreamVersion(std::uint64_t value) noexcept : value_{value} {}

    constexpr std::uint64_t value() const noexcept { return value_; } ///< number of events
    /// Version of the event after this one.
    constexpr StreamVersion next() const noexcept { return StreamVersion{value_ + 1}; }

    friend constexpr auto operator<=>(StreamVersion, StreamVersion) noexcept = default;

private:
    std::uint64_t value_ = 0;
};

/// Place of an event in the whole log: strictly increasing, not necessarily without gaps. 0 is before the first event.
class GlobalPosition {
public:
    constexpr GlobalPosition() noexcept = default;
    /// `value` is not checked.
    explicit constexpr GlobalPosition(std::uint64_t value) noexcept : value_{value} {}

    constexpr std::uint64_t value() const noexcept { return value_; } ///< a store's own count

    friend constexpr auto operator<=>(GlobalPosition, GlobalPosition) noexcept = default;

private:
    std::uint64_t value_ = 0;
};

/// What an append requires of its stream.
class ExpectedVersion {
public:
    /// No requirement: the append never conflicts.
    static constexpr ExpectedVersion any() noexcept { return ExpectedVersion{Kind::any, {}}; }
    /// The stream has no events yet.
    static constexpr ExpectedVersion no_stream() noexcept { return ExpectedVersion{Kind::exact, {}}; }
    /// The stream has at least one event.
    static constexpr ExpectedVersion stream_exists() noexcept { return ExpectedVersion{Kind::stream_exists, {}}; }
    /// The stream ends at `version`; 0 means the same as `no_stream()`.
    static constexpr ExpectedVersion exactly(StreamVersion version) noexcept
    {
        return ExpectedVersion{Kind::exact, version};
    }

    /// True if a stream at version `actual` meets the requirement; 0 is a stream without events.
    constexpr bool is_met_by(StreamVersion actual) const noexcept
    {
        switch (kind_) {
        case Kind::any: return true;
        case Kind::stream_exists: return actual != StreamVersion{};
        case Kind::exact: return actual == version_;
        }
        return false;
    }

    /// What `exactly` was given; 0 for the others.
    constexpr StreamVersion version() const noexcept { return version_; }

    friend constexpr bool operator==(ExpectedVersion, ExpectedVersion) noexcept = default;
    friend std::string to_string(ExpectedVersion expected);

private:
    enum class Kind : std::uint8_t { any, stream_exists, exact };

    constexpr ExpectedVersion(Kind kind, StreamVersion version) noexcept : kind_{kind}, version_{version} {}

    Kind kind_;
    StreamVersion version_;
};

/// Names one aggregate's events: `category-id`, for example `attendee-5e0c...`.
///
/// The category ends at the first hyphen. At most `max_length` bytes of UTF-8, without control characters, so that the
/// text also serves as a session id of a message queue.
class StreamId {
public:
    static constexpr std::size_t max_length = 128; ///< bytes of the whole text

    /// @throws InvalidIdentifier if the category is empty or holds a hyphen, the id is empty or the nil UUID, both are
    ///         too long, or one of them is not UTF-8 or holds a control character
    StreamId(std::string_view category, std::string_view id);
    /// With the text of the UUID.
    StreamId(std::string_view category, const Uuid& id);

    /// Also accepts a nil UUID and bytes that are not UTF-8, with which a stream may have been stored before they were
    /// refused.
    /// @throws InvalidIdentifier if `text` is not `category-id`
    static StreamId parse(std::string_view text);

    const std::string& text() const noexcept { return text_; } ///< category, hyphen and id
    /// A view, valid as long as this object.
    std::string_view category() const noexcept { return std::string_view{text_}.substr(0, category_length_); }
    /// All that follows the first hyphen; a view as well.
    std::string_view id() const noexcept { return std::string_view{text_}.substr(category_length_ + 1); }

    friend bool operator==(const StreamId& left, const StreamId& right) noexcept { return left.text_ == right.text_; }
    friend auto operator<=>(const StreamId& left, const StreamId& right) noexcept { return left.text_ <=> right.text_; }

private:
    explicit StreamId(std::string text);

    void check_category(std::string_view category) const;
    void check_id() const;
    void check_utf8() const;

    std::string text_;
    std::size_t category_length_ = 0;
};

/// The text `category-id`.
inline std::string to_string(const StreamId& stream) { return stream.text(); }

namespace detail {

inline bool is_control(char character) noexcept
{
    return static_cast<unsigned char>(character) < 0x20 || character == 0x7F;
}

/// Appends a text; of its bytes, those that are no UTF-8 or a control character are appended as in "\\xff".
inline void append_printable(std::string& to, std::string_view text)
{
    while (!text.empty()) {
        const std::size_t length = archive::detail::utf8_sequence_length(text);
        if (length == 0 || is_control(text.front())) append_hex(to += "\\x", static_cast<unsigned char>(text.front()));
        else to += text.substr(0, length);
        text.remove_prefix(length == 0 ? 1 : length);
    }
}

/// Writes the 36 characters of the text form: 8-4-4-4-12 digits.
inline void write_text(const Uuid& uuid, char* to) noexcept
{
    for (std::size_t byte = 0; byte < 16; ++byte) {
        if (byte == 4 || byte == 6 || byte == 8 || byte == 10) *to++ = '-';
        *to++ = hex_digits[uuid.data[byte] >> 4U];
        *to++ = hex_digits[uuid.data[byte] & 0x0FU];
    }
}

} // namespace detail

inline void append_text(const Uuid& uuid, std::string& out)
{
    char text[36];
    detail::write_text(uuid, text);
    out.append(text, sizeof text);
}

inline std::string to_string(const Uuid& uuid)
{
    std::string text;
    text.reserve(36);
    append_text(uuid, text);
    return text;
}

inline Uuid parse_uuid(std::string_view text)
{
    const auto refuse = [&] {
        return InvalidIdentifier{
            "not a UUID: expected 36 characters like 123e4567-e89b-12d3-a456-426614174000, found '" +
            std::string{text.substr(0, 64)} + "'"};
    };
    const auto nibble = [&](char digit) -> unsigned {
        if (digit >= '0' && digit <= '9') return static_cast<unsigned>(digit - '0');
        if (digit >= 'a' && digit <= 'f') return static_cast<unsigned>(digit - 'a' + 10);
        if (digit >= 'A' && digit <= 'F') return static_cast<unsigned>(digit - 'A' + 10);
        throw refuse();
    };
    if (text.size() != 36) throw refuse();
    Uuid uuid{};
    std::size_t at = 0;
    for (std::size_t byte = 0; byte < 16; ++byte) {
        if (byte == 4 || byte == 6 || byte == 8 || byte == 10) {
            if (text[at++] != '-') throw refuse();
        }
        const unsigned high = nibble(text[at++]);
        const unsigned low = nibble(text[at++]);
        uuid.data[byte] = static_cast<std::uint8_t>(high << 4U | low);
    }
    return uuid;
}

/// Describes the expectation in words, for texts of errors.
inline std::string to_string(ExpectedVersion expected)
{
    switch (expected.kind_) {
    case ExpectedVersion::Kind::any: return "any version";
    case ExpectedVersion::Kind::stream_exists: return "an existing stream";
    case ExpectedVersion::Kind::exact: break;
    }
    return expected.version_ == StreamVersion{} ? "no stream" : "version " + std::to_string(expected.version_.value());
}

inline StreamId::StreamId(std::string_view category, std::string_view id)
    : StreamId{std::string{category}.append(1, '-').append(id)}
{
    check_category(category);
    check_id();
    check_utf8();
}

inline StreamId::StreamId(std::string_view category, const Uuid& id)
    : text_(category.size() + 37, '-'), category_length_{category.size()}
{
    category.copy(text_.data(), category.size());
    detail::write_text(id, text_.data() + category.size() + 1);
    // The text of a UUID needs no check.
    bool is_valid = !category.empty() && text_.size() <= max_length;
    for (const char character : category) is_valid = is_valid && character != '-' && !detail::is_control(character);
    if (!is_valid) parse(text_).check_category(category); // one of them says why
    if (id.is_nil()) check_id();
    check_utf8();
}

inline void StreamId::check_category(std::string_view category) const
{
    if (category_length_ != category.size()) {
        throw InvalidIdentifier{"a stream category must not hold a hyphen, found '" + std::string{category} + "'"};
    }
}

inline void StreamId::check_id() const
{
    if (id() == "00000000-0000-0000-0000-000000000000") {
        throw InvalidIdentifier{"a stream of category '" + std::string{category()} +
                                "' needs an id, found the nil UUID: the id was not set"};
    }
}

inline void StreamId::check_utf8() const
{
    if (archive::detail::is_utf8(text_)) return;
    std::string found;
    detail::append_printable(found, text_);
    throw InvalidIdentifier{"not a stream id: expected UTF-8, found '" + found + "'"};
}

inline StreamId StreamId::parse(std::string_view text) { return StreamId{std::string{text}}; }

inline StreamId::StreamId(std::string text) : text_{std::move(text)}, category_length_{text_.find('-')}
{
    const auto refuse = [&](const char* why) {
        throw InvalidIdentifier{std::string{"not a stream id: "} + why + ", found '" + text_.substr(0, max_length) +
                                "'"};
    };
    if (category_length_ == std::string::npos || category_length_ == 0 || category_length_ + 1 == text_.size()) {
        refuse("expected category-id");
    }
    if (text_.size() > max_length) refuse("longer than 128 bytes");
    for (const char character : text_) {
        if (detail::is_control(character)) refuse("holds a control character");
    }
}

} // namespace escqrs::inline v0

namespace boost::uuids {

/// For argument-dependent lookup, as in `to_string(escqrs::random_uuid())`. A template, so that it gives way to Boost's
/// own function, which says the same, where that is included.
template <std::same_as<uuid> Uuid>
std::string to_string(const Uuid& id)
{
    return escqrs::to_string(id);
}

} // namespace boost::uuids

template <class Tag>
struct std::hash<escqrs::Id<Tag>> {
    std::size_t operator()(const escqrs::Id<Tag>& id) const noexcept
    {
        std::uint64_t half[2];
        std::memcpy(half, id.value().data, sizeof half);
        return static_cast<std::size_t>(half[0] ^ (half[1] * 0x9E3779B97F4A7C15ULL));
    }
};

template <>
struct std::hash<escqrs::StreamId> {
    std::size_t operator()(const escqrs::StreamId& stream) const noexcept
    {
        return std::hash<std::string>{}(stream.text());
    }
};
