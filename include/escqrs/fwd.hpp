// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// Names of the library, for headers that only pass them along; each room has its own. Templates whose parameters are
// constrained by a concept, such as Repository, are not here: they cannot be declared without the concept.
#include <escqrs/codec/fwd.hpp>
#include <escqrs/commands/fwd.hpp>
#include <escqrs/core/fwd.hpp>
#include <escqrs/domain/fwd.hpp>
#include <escqrs/events/fwd.hpp>
#include <escqrs/messaging/fwd.hpp>
#include <escqrs/projections/fwd.hpp>
#include <escqrs/store/fwd.hpp>
