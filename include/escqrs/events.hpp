// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// SnapshotEventBus. <escqrs/events/event_bus.hpp>, which is costly to compile, is the same on Boost.Signals2.
#include <escqrs/events/basic_event_bus.hpp>
#include <escqrs/events/snapshot_event_bus.hpp>
