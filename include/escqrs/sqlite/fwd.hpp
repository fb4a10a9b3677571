// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/projections/fwd.hpp>

namespace escqrs::inline v0::sqlite {

class Database;
struct DatabaseOptions;
class DatabaseError;
class Dialect;
class EventStore;
struct EventStoreOptions;
class MessageQueue;
class Rows;
class Savepoint;
class Statement;
class Transaction;

/// The parts of `escqrs::sql`, in an SQLite file.
/// @{
using Checkpoint = sql::Checkpoint<Dialect>;
using LiveReadModel = sql::LiveReadModel<Dialect>;
using ParkingLot = sql::ParkingLot<Dialect>;
using ReadModel = sql::ReadModel<Dialect>;
using StreamCheckpoint = sql::StreamCheckpoint<Dialect>;
/// @}

} // namespace escqrs::inline v0::sqlite
