// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace escqrs::inline v0::testing {

/// A value for people to read: a text, or fields that are such values themselves. `fields_of` makes it.
struct FieldTree {
    /// How the value is written.
    enum class Shape : std::uint8_t {
        value,  ///< `text`
        object, ///< `text{name: field, ...}`
        list,   ///< `[field, ...]`
        map     ///< `{name: field, ...}`
    };

    /// Name of the field; empty for an element of a list and at the root.
    std::string name;
    std::string text;                ///< the value, or the name of its type
    Shape shape = Shape::value;      ///< how `text` and `fields` are put together
    std::vector<FieldTree> fields{}; ///< in the order in which they are stored
};

/// The whole value in one line: `EmailChangeRequested{email: 'ada@example.org', confirmationId: ...}`.
inline std::string to_string(const FieldTree& tree)
{
    using Shape = FieldTree::Shape;
    if (tree.shape == Shape::value) return tree.text;
    std::string text = tree.text;
    text += tree.shape == Shape::list ? '[' : '{';
    for (std::size_t at = 0; at < tree.fields.size(); ++at) {
        if (at > 0) text += ", ";
        if (tree.shape != Shape::list) text.append(tree.fields[at].name).append(": ");
        text += to_string(tree.fields[at]);
    }
    return text += tree.shape == Shape::list ? ']' : '}';
}

/// A place where two values differ.
struct FieldDifference {
    /// `contact.phones[2]`; empty for the value as a whole.
    std::string path;
    std::string expected; ///< empty: the field should not be there
    std::string found;    ///< empty: the field is not there

    friend bool operator==(const FieldDifference&, const FieldDifference&) = default;
};

namespace detail {

/// The part of a long text around `place`, where it differs from another.
inline std::string around(const std::string& text, std::size_t place)
{
    constexpr std::size_t before = 20;
    constexpr std::size_t behind = 60;
    // Not within the bytes of one character.
    const auto whole = [&](std::size_t at) {
        while (at < text.size() && at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U) --at;
        return at;
    };
    const std::size_t begin = place > before ? whole(place - before) : 0;
    const std::size_t end = place + behind < text.size() ? whole(place + behind) : text.size();
    return (begin > 0 ? "..." : "") + text.substr(begin, end - begin) + (end < text.size() ? "..." : "");
}

} // namespace detail

/// `email: expected 'Ann', found 'Bob'`; of long texts only the surroundings of the first difference.
inline std::string to_string(const FieldDifference& difference)
{
    std::string text = difference.path.empty() ? "" : difference.path + ": ";
    constexpr std::size_t longest = 120;
    const auto& [path, expected, found] = difference;
    if (!expected.empty() && !found.empty() && std::max(expected.size(), found.size()) > longest) {
        const auto [left, right] = std::mismatch(expected.begin(), expected.end(), found.begin(), found.end());
        const auto place = static_cast<std::size_t>(left - expected.begin());
        text.append("expected ").append(detail::around(expected, place));
        return text.append(", found ").append(detail::around(found, place));
    }
    text.append("expected ").append(expected.empty() ? "no such field" : expected);
    return text.append(", found ").append(found.empty() ? "no such field" : found);
}

namespace detail {

inline std::string path_to(const std::string& path, const FieldTree& parent, std::size_t index)
{
    if (parent.shape == FieldTree::Shape::object) {
        return path.empty() ? parent.fields[index].name : path + "." + parent.fields[index].name;
    }
    const std::string& name = parent.fields[index].name;
    return path + "[" + (parent.shape == FieldTree::Shape::list ? std::to_string(index) : name) + "]";
}

/// The field of `tree` that corresponds to number `index` of `other`: at that place in a list, else of that name. Of
/// several with the same name (a multimap, a serialize that names two fields alike) the first corresponds to the first,
/// and so on.
inline const FieldTree* counterpart(const FieldTree& tree, const FieldTree& other, std::size_t index) noexcept
{
    if (other.shape == FieldTree::Shape::list) return index < tree.fields.size() ? &tree.fields[index] : nullptr;
    const std::string& name = other.fields[index].name;
    const auto is_alike = [&](const FieldTree& field) { return field.name == name; };
    auto earlier =
        std::count_if(other.fields.begin(), other.fields.begin() + static_cast<std::ptrdiff_t>(index), is_alike);
    for (const auto& field : tree.fields) {
        if (is_alike(field) && earlier-- == 0) return &field;
    }
    return nullptr;
}

inline void compare_fields(const FieldTree& expected, const FieldTree& found, const std::string& path,
                           std::vector<FieldDifference>& differences)
{
    const bool whole = expected.shape != found.shape || expected.text != found.text;
    if (whole || expected.shape == FieldTree::Shape::value) {
        if (whole) differences.push_back({path, to_string(expected), to_string(found)});
        return;
    }
    for (std::size_t at = 0; at < expected.fields.size(); ++at) {
        const auto& field = expected.fields[at];
        const auto place = path_to(path, expected, at);
        if (const auto* const match = counterpart(found, expected, at)) {
            compare_fields(field, *match, place, differences);
        } else differences.push_back({place, to_string(field), {}});
    }
    for (std::size_t at = 0; at < found.fields.size(); ++at) {
        if (counterpart(expected, found, at) != nullptr) continue;
        differences.push_back({path_to(path, found, at), {}, to_string(found.fields[at])});
    }
}

} // namespace detail

/// The differences between two values, field by field; empty if they are the same.
inline std::vector<FieldDifference> differences(const FieldTree& expected, const FieldTree& found)
{
    std::vector<FieldDifference> differences;
    detail::compare_fields(expected, found, {}, differences);
    return differences;
}

} // namespace escqrs::inline v0::testing
