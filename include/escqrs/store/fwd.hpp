// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

namespace escqrs::inline v0 {

struct NewEvent;
struct RecordedEvent;
struct Snapshot;
struct AppendResult;
struct EventLocation;
struct EventFilter;
struct EventLogDigest;
class AnyEventStore;

} // namespace escqrs::inline v0
