// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// All that a domain includes: events, AggregateRoot, Decider.
#include <escqrs/domain/access.hpp>
#include <escqrs/domain/aggregate_root.hpp>
#include <escqrs/domain/decider.hpp>
#include <escqrs/domain/event.hpp>
