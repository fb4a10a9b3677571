// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

namespace escqrs::inline v0::in_memory {

class Checkpoint;
class EventStore;
struct EventStoreOptions;
class MessageQueue;
class ParkingLot;

} // namespace escqrs::inline v0::in_memory
