// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace escqrs::inline v0 {

/// Named texts that travel with a message, in the order in which they were added.
///
/// They are in one piece of memory: a message has a dozen of them, and is copied at each hand-over.
/// @par Complexity  linear in the number of bytes
class MessageProperties {
public:
    /// Name and text; valid until the next change or move.
    using value_type = std::pair<std::string_view, std::string_view>;

    /// A forward iterator over the properties, in the order in which they were added.
    class Iterator {
    public:
        /// As the standard requires it of an iterator.
        /// @{
        using iterator_concept = std::forward_iterator_tag;
        using iterator_category = std::input_iterator_tag; // what it refers to is made when it is asked for
        using value_type = MessageProperties::value_type;
        using difference_type = std::ptrdiff_t;
        using reference = value_type;
        using pointer = void;

        Iterator() = default;

        value_type operator*() const noexcept
        {
            const Sizes sizes = sizes_at(at_);
            const char* const name = at_ + sizeof sizes;
            return {{name, sizes.name}, {name + sizes.name, sizes.text}};
        }
        Iterator& operator++() noexcept
        {
            const Sizes sizes = sizes_at(at_);
            at_ += sizeof sizes + sizes.name + sizes.text;
            return *this;
        }
        Iterator operator++(int) noexcept
        {
            const Iterator before = *this;
            ++*this;
            return before;
        }
        /// @}
        friend bool operator==(const Iterator&, const Iterator&) = default;

    private:
        friend MessageProperties;
        explicit Iterator(const char* at) noexcept : at_{at} {}

        const char* at_ = nullptr;
    };
    using const_iterator = Iterator; ///< properties are not changed in place

    MessageProperties() = default;
    /// Adds them in the order given.
    MessageProperties(std::initializer_list<value_type> properties)
    {
        for (const auto& [name, text] : properties) add(name, text);
    }

    /// As of a standard container; `size` counts the properties, in time linear in them.
    /// @{
    Iterator begin() const noexcept { return Iterator{bytes_.data()}; }
    Iterator end() const noexcept { return Iterator{bytes_.data() + bytes_.size()}; }
    std::size_t size() const noexcept { return static_cast<std::size_t>(std::distance(begin(), end())); }
    bool empty() const noexcept { return bytes_.empty(); }
    /// @}

    /// The text of the first property of that name; nothing if there is none.
    std::optional<std::string_view> find(std::string_view name) const noexcept
    {
        for (const auto& [known, text] : *this) {
            if (known == name) return text;
        }
        return std::nullopt;
    }

    /// Adds a property after the others. A queue refuses messages in which a name comes twice.
    /// @param name, text  may be views of these properties themselves
    void add(std::string_view name, std::string_view text)
    {
        const Sizes sizes{name.size(), text.size()};
        std::size_t at = bytes_.size();
        const std::size_t size = at + sizeof sizes + name.size() + text.size();
        std::string outgrown; // what the views may refer to, until they have been copied
        if (size > bytes_.capacity()) {
            outgrown.reserve(std::max(size, 2 * bytes_.capacity()));
            outgrown.append(bytes_);
            outgrown.swap(bytes_);
        }
        bytes_.resize(size);
        std::memcpy(bytes_.data() + at, &sizes, sizeof sizes);
        at += sizeof sizes;
        at += name.copy(bytes_.data() + at, name.size());
        text.copy(bytes_.data() + at, text.size());
    }

    /// Gives the properties of that name another text; adds one if there is none.
    /// @param name, text  may be views of these properties themselves
    void set(std::string_view name, std::string_view text)
    {
        MessageProperties changed;
        changed.reserve(bytes_.size() + sizeof(Sizes) + name.size() + text.size());
        bool found = false;
        for (const auto& [known, before] : *this) {
            const bool is_it = known == name;
            found = found || is_it;
            changed.add(known, is_it ? text : before);
        }
        if (!found) changed.add(name, text);
        *this = std::move(changed);
    }

    /// Removes all properties of that name.
    void erase(std::string_view name)
    {
        MessageProperties kept;
        for (const auto& [known, text] : *this) {
            if (known != name) kept.add(known, text);
        }
        *this = std::move(kept);
    }

    void clear() noexcept { bytes_.clear(); } ///< removes all properties

    /// Makes room for this many bytes: names, texts, and 16 for each property.
    void reserve(std::size_t bytes) { bytes_.reserve(bytes); }

    friend bool operator==(const MessageProperties&, const MessageProperties&) = default;

private:
    struct Sizes {
        std::size_t name;
        std::size_t text;
    };

    static Sizes sizes_at(const char* at) noexcept
    {
        Sizes sizes;
        std::memcpy(&sizes, at, sizeof sizes);
        return sizes;
    }

    /// For each property: the sizes of name and text, name, text.
    std::string bytes_;
};

} // namespace escqrs::inline v0
