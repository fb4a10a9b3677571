// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// Subscriptions to the log, projections, checkpoints, parked streams.
#include <escqrs/projections/advance.hpp>
#include <escqrs/projections/checkpoint.hpp>
#include <escqrs/projections/log_guard.hpp>
#include <escqrs/projections/parallel_subscription.hpp>
#include <escqrs/projections/parking_lot.hpp>
#include <escqrs/projections/projection.hpp>
#include <escqrs/projections/read_model_schema.hpp>
#include <escqrs/projections/subscription.hpp>
