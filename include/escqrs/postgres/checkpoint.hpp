// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/postgres/dialect.hpp>
#include <escqrs/postgres/fwd.hpp>
#include <escqrs/projections/sql/checkpoint.hpp>
#include <escqrs/projections/sql/stream_checkpoint.hpp>

namespace escqrs::postgres {

// `Checkpoint` and `StreamCheckpoint` are declared in fwd.hpp.
using escqrs::Advance;

} // namespace escqrs::postgres
