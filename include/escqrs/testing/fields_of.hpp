// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/codec/archive/json_time.hpp>
#include <escqrs/codec/archive/kind.hpp>
#include <escqrs/codec/archive/operators.hpp>
#include <escqrs/core/type_identity.hpp>
#include <escqrs/domain/event.hpp>
#include <escqrs/testing/detail/value_text.hpp>
#include <escqrs/testing/field_tree.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

namespace escqrs::inline v0::testing {

/// Writes values as field trees. Models the Saving Archive concept of Boost.Serialization; takes what the library's own
/// archives take, so every value that can be stored can be shown.
/// @par Thread safety  one thread at a time
class FieldArchive : public archive::detail::OutputOperators<FieldArchive> {
public:
    /// The value as a tree. Its `serialize`, and those of classes nested in it, receive `schema_version`.
    template <class T>
    FieldTree root(const T& value, unsigned schema_version)
    {
        schema_version_ = schema_version;
        return tree_of(value);
    }

    /// Shows bytes as hexadecimal text. Boost's archives ask for this member.
    void save_binary(const void* bytes, std::size_t length)
    {
        add({{}, detail::hexadecimal({static_cast<const std::byte*>(bytes), length})});
    }

private:
    friend class archive::detail::OutputOperators<FieldArchive>;

    template <class T>
    void accept(const T& value)
    {
        if constexpr (archive::detail::Named<T>) {
            auto tree = tree_of(std::as_const(value.value()));
            tree.name = value.name();
            add(std::move(tree));
        } else add(tree_of(value));
    }

    void add(FieldTree tree) { fields_->push_back(std::move(tree)); }

    template <class T>
    FieldTree tree_of(const T& value);
    template <class T>
    FieldTree object_tree(const T& object);
    template <class T>
    FieldTree list_tree(const T& list);
    template <class T>
    FieldTree map_tree(const T& map);

    unsigned schema_version_ = 0;
    std::vector<FieldTree>* fields_ = nullptr; ///< of the object being written
};

/// True for what `fields_of` takes: what can be stored.
template <class T>
concept Describable = archive::detail::kind_of<FieldArchive, T>() != archive::detail::Kind::unsupported &&
                      archive::detail::kind_of<FieldArchive, T>() != archive::detail::Kind::pointer;

/// The value, field by field, as its `serialize` names them.
template <class T>
FieldTree fields_of(const T& value)
{
    return FieldArchive{}.root(value, schema_version<T>());
}

/// The value in one line: `BookLent{reader: 'Ada'}`.
template <class T>
std::string describe(const T& value)
{
    return to_string(fields_of(value));
}

template <class T>
FieldTree FieldArchive::tree_of(const T& value)
{
    using archive::detail::Kind;
    constexpr Kind kind = archive::detail::kind_of<FieldArchive, T>();
    if constexpr (kind == Kind::boolean) return {{}, value ? "true" : "false"};
    else if constexpr (kind == Kind::integer || kind == Kind::floating) return {{}, detail::number_text(value)};
    else if constexpr (kind == Kind::enumeration) return tree_of(static_cast<std::underlying_type_t<T>>(value));
    else if constexpr (kind == Kind::enum_name) {
        const auto name = archive::detail::EnumNames<T>::name_of(value);
        return name.empty() ? tree_of(static_cast<std::underlying_type_t<T>>(value)) : FieldTree{{}, std::string{name}};
    } else if constexpr (kind == Kind::uuid) return {{}, escqrs::to_string(value)};
    else if constexpr (kind == Kind::named) return tree_of(std::as_const(value.value()));
    else if constexpr (kind == Kind::text) return {{}, detail::quoted({value.data(), value.size()})};
    else if constexpr (kind == Kind::bytes) return {{}, detail::hexadecimal({value.data(), value.size()})};
    else if constexpr (kind == Kind::object || kind == Kind::empty) return object_tree(value);
    else if constexpr (kind == Kind::map) return map_tree(value);
    else if constexpr (kind == Kind::sequence || kind == Kind::set || kind == Kind::array) return list_tree(value);
    else if constexpr (kind == Kind::tuple) {
        FieldTree tree{{}, {}, FieldTree::Shape::list};
        archive::detail::for_each_element(value, [&](const auto& element) { tree.fields.push_back(tree_of(element)); });
        return tree;
    } else if constexpr (kind == Kind::optional) {
        if (!value.has_value()) return {{}, "nothing"};
        FieldTree tree = tree_of(*value);
        if (tree.shape == FieldTree::Shape::value && tree.text == "nothing") tree.text = "an optional of nothing";
        return tree;
    } else if constexpr (kind == Kind::variant) {
        FieldTree tree{{}, "a variant without a value"};
        archive::detail::visit_alternative(value, [&](const auto& alternative) { tree = tree_of(alternative); });
        // Two alternatives may hold the same fields.
        const auto alternative = "alternative " + std::to_string(value.index());
        if (tree.shape == FieldTree::Shape::value) tree.text.append(" (").append(alternative).append(")");
        else if (tree.shape != FieldTree::Shape::object) tree.text = alternative + " ";
        return tree;
    } else if constexpr (kind == Kind::duration) {
        return {{}, detail::number_text(value.count()) + detail::unit_of<typename T::period>()};
    } else if constexpr (kind == Kind::time_point) {
        const auto time = archive::detail::split_time<T>(value);
        if (time) return {{}, escqrs::detail::to_rfc3339(*time, archive::detail::fraction_digits<T>())};
        return {{}, detail::number_text(value.time_since_epoch().count()) + " ticks since 1970"};
    } else {
        archive::detail::require_supported<FieldArchive, T>();
        return {};
    }
}

template <class T>
FieldTree FieldArchive::object_tree(const T& object)
{
    FieldTree tree{{}, detail::short_name<T>(), FieldTree::Shape::object};
    if constexpr (archive::detail::kind_of<FieldArchive, T>() == archive::detail::Kind::object) {
        auto* const outer = std::exchange(fields_, &tree.fields);
        // One serialize serves both ways, as in Boost, so it cannot be const.
        archive::detail::serialize_object(*this, const_cast<T&>(object), schema_version_); // NOLINT
        fields_ = outer;
    }
    // A class that only passes on one unnamed value, such as Id, is shown as that value.
    if (!HasEventName<T> && tree.fields.size() == 1 && tree.fields.front().name.empty()) {
        FieldTree only = std::move(tree.fields.front());
        return only;
    }
    for (std::size_t at = 0; at < tree.fields.size(); ++at) {
        if (tree.fields[at].name.empty()) tree.fields[at].name = "#" + std::to_string(at + 1);
    }
    return tree;
}

template <class T>
FieldTree FieldArchive::list_tree(const T& list)
{
    FieldTree tree{{}, {}, FieldTree::Shape::list};
    for (auto&& element : list) {
        if constexpr (requires { typename T::value_type; }) {
            tree.fields.push_back(tree_of<typename T::value_type>(element));
        } else tree.fields.push_back(tree_of(element));
    }
    if constexpr (requires { typename T::hasher; }) { // its order means nothing
        std::sort(tree.fields.begin(), tree.fields.end(),
                  [](const FieldTree& left, const FieldTree& right) { return to_string(left) < to_string(right); });
    }
    return tree;
}

template <class T>
FieldTree FieldArchive::map_tree(const T& map)
{
    FieldTree tree{{}, {}, FieldTree::Shape::map};
    for (const auto& [key, value] : map) {
        tree.fields.push_back(tree_of(value));
        tree.fields.back().name = to_string(tree_of(key));
    }
    return tree;
}

} // namespace escqrs::inline v0::testing
