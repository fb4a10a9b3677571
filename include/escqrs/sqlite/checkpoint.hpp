// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/projections/sql/checkpoint.hpp>
#include <escqrs/projections/sql/stream_checkpoint.hpp>
#include <escqrs/sqlite/dialect.hpp>

namespace escqrs::inline v0::sqlite {

using Checkpoint = sql::Checkpoint<Dialect>;             ///< in an SQLite file
using StreamCheckpoint = sql::StreamCheckpoint<Dialect>; ///< in an SQLite file
using escqrs::Advance;

} // namespace escqrs::inline v0::sqlite
