// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// What an event store is, and AnyEventStore: one chosen at run time.
#include <escqrs/store/event_filter.hpp>
#include <escqrs/store/event_log_digest.hpp>
#include <escqrs/store/event_store.hpp>
