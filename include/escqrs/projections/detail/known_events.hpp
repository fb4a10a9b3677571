// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/error.hpp>
#include <escqrs/domain/event.hpp>
#include <escqrs/store/event_store.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace escqrs::inline v0::detail {

template <class... Events>
constexpr bool has_name(EventList<Events...>, std::string_view type) noexcept
{
    return ((type == event_name<Events>()) || ...);
}

template <class Handlers>
concept NamesKnownEvents = requires { typename Handlers::KnownEvents; };

/// The types a projection asks its store for: those its codec reads, also under old names; all of them if the handlers
/// say which they know, because then an unknown one must be noticed.
template <class EventCodec, class Handlers>
std::vector<std::string> types_to_read()
{
    if constexpr (NamesKnownEvents<Handlers>) return {};
    else return EventCodec::type_names();
}

/// True if the handlers may skip a type that their codec does not read.
template <class Handlers>
constexpr bool is_known_to(std::string_view type) noexcept
{
    if constexpr (NamesKnownEvents<Handlers>)
        return has_name(typename ListOf<typename Handlers::KnownEvents>::Type{}, type);
    else return true;
}

/// The one place that decides whether an event could not be decoded because newer code has written it.
inline bool is_of_newer_code(const CodecError& error) noexcept
{
    return dynamic_cast<const UnknownEventType*>(&error) != nullptr ||
           dynamic_cast<const NewerSchemaVersion*>(&error) != nullptr;
}

} // namespace escqrs::inline v0::detail
