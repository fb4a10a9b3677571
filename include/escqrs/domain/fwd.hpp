// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

namespace escqrs::inline v0 {

template <class Derived, class... Events>
class AggregateRoot;
class Access;
template <class D>
class Decided;
template <class... Parts>
struct Compose;
template <class... Events>
struct EventList;
template <class Event>
struct NoStateChange;
template <class T>
class Field;

} // namespace escqrs::inline v0
