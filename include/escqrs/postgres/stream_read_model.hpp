// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/messaging/stream_read_model.hpp>
#include <escqrs/postgres/checkpoint.hpp>
#include <escqrs/postgres/connection.hpp>

namespace escqrs::inline v0::postgres {

/// A read model whose tables are in a database, for a `MessageProcessor`: what handlers write by this connection and how far
/// each stream has come are committed together.
using StreamReadModel = BasicStreamReadModel<Connection&, Transaction, Savepoint, StreamCheckpoint>;

static_assert(escqrs::StreamReadModel<StreamReadModel>);

} // namespace escqrs::inline v0::postgres
