// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// Shared by rooms; not API.

#include <cstddef>
#include <functional>
#include <unordered_map>
#include <utility>

namespace escqrs::inline v0::detail {

/// A bounded map that forgets the entries that have not been used for longest.
///
/// It has two generations. An entry that is used moves to the younger one; when that holds half of the entries, it
/// becomes the older one, and entries not used since are forgotten. So the last `at_most / 2` keys are always known, at
/// the price of a hash table.
template <class Key, class Value, class Hash = std::hash<Key>>
class RecentMap {
public:
    /// @param at_most  entries; 2 at least
    explicit RecentMap(std::size_t at_most) noexcept : per_generation_{at_most / 2} {}

    /// Null if it is not known; valid until the next call that is not const.
    Value* find(const Key& key)
    {
        if (const auto found = young_.find(key); found != young_.end()) return &found->second;
        auto node = old_.extract(key);
        if (node.empty()) return nullptr;
        make_room();
        return &young_.insert(std::move(node)).position->second;
    }

    /// The value of the key, made from the arguments if it is not known.
    template <class... Arguments>
    Value& find_or_emplace(const Key& key, Arguments&&... arguments)
    {
        if (Value* const known = find(key)) return *known;
        make_room();
        return young_.try_emplace(key, std::forward<Arguments>(arguments)...).first->second;
    }

    void insert_or_assign(const Key& key, Value value)
    {
        if (Value* const known = find(key)) *known = std::move(value);
        else find_or_emplace(key, std::move(value));
    }

    void clear() noexcept
    {
        young_.clear();
        old_.clear();
    }

    std::size_t size() const noexcept { return young_.size() + old_.size(); }

private:
    using Generation = std::unordered_map<Key, Value, Hash>;

    void make_room()
    {
        if (young_.size() < per_generation_) return;
        old_.clear();
        old_.swap(young_);
    }

    std::size_t per_generation_;
    Generation young_;
    Generation old_;
};

} // namespace escqrs::inline v0::detail
