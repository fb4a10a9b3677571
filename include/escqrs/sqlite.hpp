// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// A store, a queue and read models in SQLite files.
#include <escqrs/sqlite/checkpoint.hpp>
#include <escqrs/sqlite/database.hpp>
#include <escqrs/sqlite/database_error.hpp>
#include <escqrs/sqlite/dialect.hpp>
#include <escqrs/sqlite/event_store.hpp>
#include <escqrs/sqlite/group_commit.hpp>
#include <escqrs/sqlite/message_queue.hpp>
#include <escqrs/sqlite/parking_lot.hpp>
#include <escqrs/sqlite/read_model.hpp>
#include <escqrs/sqlite/statement.hpp>
#include <escqrs/sqlite/stream_read_model.hpp>
#include <escqrs/sqlite/transaction.hpp>
