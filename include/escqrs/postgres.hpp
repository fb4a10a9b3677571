// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// A store and read models in a PostgreSQL database.
#include <escqrs/postgres/checkpoint.hpp>
#include <escqrs/postgres/connection.hpp>
#include <escqrs/postgres/connection_pool.hpp>
#include <escqrs/postgres/database_error.hpp>
#include <escqrs/postgres/dialect.hpp>
#include <escqrs/postgres/event_store.hpp>
#include <escqrs/postgres/lease.hpp>
#include <escqrs/postgres/leased_work.hpp>
#include <escqrs/postgres/parking_lot.hpp>
#include <escqrs/postgres/read_model.hpp>
#include <escqrs/postgres/read_model_schema.hpp>
#include <escqrs/postgres/reshard.hpp>
#include <escqrs/postgres/schema.hpp>
#include <escqrs/postgres/shard.hpp>
#include <escqrs/postgres/statement.hpp>
#include <escqrs/postgres/stream_read_model.hpp>
