// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

namespace escqrs::inline v0 {

struct SubscriptionOptions;
struct ParkedStream;
class StreamParked;
struct ReadModelSchema;

namespace sql {

template <class... Dialects>
class AnyDatabase;
template <class Dialect>
class Checkpoint;
template <class Dialect>
class LiveReadModel;
template <class Dialect>
class ParkingLot;
template <class Dialect>
class ReadModel;
template <class Dialect>
class StreamCheckpoint;

} // namespace sql

} // namespace escqrs::inline v0
