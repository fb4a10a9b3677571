// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/postgres/checkpoint.hpp>
#include <escqrs/postgres/dialect.hpp>
#include <escqrs/postgres/parking_lot.hpp>
#include <escqrs/projections/read_model_schema.hpp>
#include <escqrs/projections/sql/read_model.hpp>

namespace escqrs::inline v0::postgres {

using LiveReadModel = sql::LiveReadModel<Dialect>;
using ReadModel = sql::ReadModel<Dialect>;
using escqrs::ReadModelSchema;

} // namespace escqrs::inline v0::postgres
