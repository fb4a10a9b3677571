// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

namespace escqrs::sqlite {

class Checkpoint;
class Database;
struct DatabaseOptions;
class DatabaseError;
class EventStore;
struct EventStoreOptions;
class LiveReadModel;
class MessageQueue;
class ParkingLot;
class ReadModel;
class Rows;
class Savepoint;
class Statement;
class StreamCheckpoint;
class Transaction;

} // namespace escqrs::sqlite
