// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/postgres/dialect.hpp>
#include <escqrs/projections/parking_lot.hpp>
#include <escqrs/projections/sql/parking_lot.hpp>

namespace escqrs::inline v0::postgres {

using ParkingLot = sql::ParkingLot<Dialect>;

static_assert(escqrs::ParkingLot<ParkingLot>);

} // namespace escqrs::inline v0::postgres
