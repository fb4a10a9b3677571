// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/projections/read_model_schema.hpp>
#include <escqrs/projections/sql/read_model.hpp>
#include <escqrs/sqlite/checkpoint.hpp>
#include <escqrs/sqlite/dialect.hpp>
#include <escqrs/sqlite/parking_lot.hpp>

namespace escqrs::inline v0::sqlite {

using LiveReadModel = sql::LiveReadModel<Dialect>;
using ReadModel = sql::ReadModel<Dialect>;
using escqrs::ReadModelSchema;

} // namespace escqrs::inline v0::sqlite
