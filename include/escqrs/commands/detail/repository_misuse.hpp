// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/identifiers.hpp>
#include <escqrs/core/takes_copy.hpp>

#include <string_view>
#include <type_traits>

// Stop the compilation with a sentence.
namespace escqrs::inline v0::detail {

template <class Aggregate>
constexpr bool require_constructor() noexcept
{
    static_assert(std::is_constructible_v<Aggregate, const typename Aggregate::Id&>,
                  "escqrs: this aggregate has no public constructor from its id; add to it: "
                  "explicit Item(const Id& id) : AggregateRoot{id} {}");
    return true;
}

template <class Aggregate>
constexpr bool require_short_category() noexcept
{
    if constexpr (requires { Aggregate::Id::max_length; }) {
        static_assert(std::string_view{Aggregate::category}.size() + 1 + Aggregate::Id::max_length <=
                          StreamId::max_length,
                      "escqrs: the category of an aggregate whose ids are texts has at most 31 bytes, so that a stream "
                      "has room for any id");
    }
    return true;
}

template <class Store>
constexpr void refuse_other_store() noexcept
{
    static_assert(sizeof(Store) == 0, "escqrs: this is a repository of another store; name the store's type, "
                                      "Repository<Item, Store>, or hand in an AnyEventStore");
}

template <class Decide, class Aggregate>
constexpr void require_reference() noexcept
{
    static_assert(
        !takes_copy<Decide, Aggregate>(),
        "escqrs: execute() takes a function of the aggregate by reference, [](Item& item) { ... }; what it does "
        "to a copy would be lost");
}

} // namespace escqrs::inline v0::detail
