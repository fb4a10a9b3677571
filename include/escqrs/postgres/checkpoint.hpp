// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/postgres/dialect.hpp>
#include <escqrs/projections/sql/checkpoint.hpp>
#include <escqrs/projections/sql/stream_checkpoint.hpp>

namespace escqrs::inline v0::postgres {

using Checkpoint = sql::Checkpoint<Dialect>;             ///< in PostgreSQL
using StreamCheckpoint = sql::StreamCheckpoint<Dialect>; ///< in PostgreSQL
using escqrs::Advance;

} // namespace escqrs::inline v0::postgres
