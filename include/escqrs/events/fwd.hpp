// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

namespace escqrs::inline v0 {

class EventBus;
class SnapshotEventBus;
struct PublishedEvent;

} // namespace escqrs::inline v0
