// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// What an event store is, one chosen at run time, and one that passes everything on.
#include <escqrs/store/any_event_store.hpp>
#include <escqrs/store/event_filter.hpp>
#include <escqrs/store/event_log_digest.hpp>
#include <escqrs/store/event_store.hpp>
#include <escqrs/store/forwarding_event_store.hpp>
