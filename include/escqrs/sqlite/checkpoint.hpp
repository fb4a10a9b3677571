// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/projections/sql/checkpoint.hpp>
#include <escqrs/projections/sql/stream_checkpoint.hpp>
#include <escqrs/sqlite/dialect.hpp>
#include <escqrs/sqlite/fwd.hpp>

namespace escqrs::sqlite {

// `Checkpoint` and `StreamCheckpoint` are declared in fwd.hpp.
using escqrs::Advance;

} // namespace escqrs::sqlite
