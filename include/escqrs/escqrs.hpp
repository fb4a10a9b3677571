// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// The rooms of the library that need nothing but Boost's headers. The stores have their own umbrellas:
// <escqrs/in_memory.hpp>, <escqrs/sqlite.hpp>, <escqrs/postgres.hpp>; so has <escqrs/testing.hpp>. A domain needs only
// <escqrs/domain.hpp>.
#include <escqrs/codec.hpp>
#include <escqrs/commands.hpp>
#include <escqrs/core.hpp>
#include <escqrs/domain.hpp>
#include <escqrs/events.hpp>
#include <escqrs/messaging.hpp>
#include <escqrs/projections.hpp>
#include <escqrs/store.hpp>
#include <escqrs/version.hpp>
