// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace escqrs::testing {

/// A value as people read it: a text, or fields that are such values themselves. `fields_of` makes it.
struct FieldTree {
    enum class Shape : std::uint8_t {
        value,  ///< `text`
        object, ///< `text{name: field, ...}`
        list,   ///< `[field, ...]`
        map     ///< `{name: field, ...}`
    };

    std::string name; ///< under which it stands in what holds it; empty for an element of a list and at the root
    std::string text;
    Shape shape = Shape::value;
    std::vector<FieldTree> fields{};
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

/// A place where two values are not the same.
struct FieldDifference {
    std::string path;     ///< `contact.phones[2]`; empty for the value as a whole
    std::string expected; ///< empty: the field should not be there
    std::string found;    ///< empty: the field is not there

    friend bool operator==(const FieldDifference&, const FieldDifference&) = default;
};

/// `email: expected 'a@b', found 'c@d'`.
inline std::string to_string(const FieldDifference& difference)
{
    std::string text = difference.path.empty() ? "" : difference.path + ": ";
    text.append("expected ").append(difference.expected.empty() ? "no such field" : difference.expected);
    return text.append(", found ").append(difference.found.empty() ? "no such field" : difference.found);
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

/// The field of `tree` that answers to number `index` of `other`: of that name, or at that place in a list.
inline const FieldTree* counterpart(const FieldTree& tree, const FieldTree& other, std::size_t index) noexcept
{
    if (other.shape == FieldTree::Shape::list) return index < tree.fields.size() ? &tree.fields[index] : nullptr;
    for (const auto& field : tree.fields) {
        if (field.name == other.fields[index].name) return &field;
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

/// Where two values are not the same, field by field; empty if they are.
inline std::vector<FieldDifference> differences(const FieldTree& expected, const FieldTree& found)
{
    std::vector<FieldDifference> differences;
    detail::compare_fields(expected, found, {}, differences);
    return differences;
}

} // namespace escqrs::testing
