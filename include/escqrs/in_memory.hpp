// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// A store and a queue in memory, for tests and to begin with.
#include <escqrs/in_memory/checkpoint.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/in_memory/message_queue.hpp>
#include <escqrs/in_memory/parking_lot.hpp>
#include <escqrs/in_memory/stream_read_model.hpp>
