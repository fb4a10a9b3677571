// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

namespace escqrs::postgres {

class Checkpoint;
class Connection;
struct ConnectionOptions;
class ConnectionLost;
class DatabaseError;
class EventStore;
struct EventStoreOptions;
class Lease;
class LeaseLost;
class LiveReadModel;
class ParkingLot;
class ReadModel;
class Rows;
class Savepoint;
class Statement;
class StreamCheckpoint;
class Transaction;

} // namespace escqrs::postgres
