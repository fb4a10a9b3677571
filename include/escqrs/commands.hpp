// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// The command bus and its middleware, Repository, snapshots. <escqrs/commands/dispatcher/command_dispatcher.hpp>, which
// brings threads, runs commands asynchronously.
#include <escqrs/commands/command_bus.hpp>
#include <escqrs/commands/command_info.hpp>
#include <escqrs/commands/commit_result.hpp>
#include <escqrs/commands/decider_handler.hpp>
#include <escqrs/commands/middleware/deduplication.hpp>
#include <escqrs/commands/middleware/retry_on_conflict.hpp>
#include <escqrs/commands/middleware/timing.hpp>
#include <escqrs/commands/middleware/tracing.hpp>
#include <escqrs/commands/middleware/validation.hpp>
#include <escqrs/commands/repository.hpp>
#include <escqrs/commands/repository_options.hpp>
#include <escqrs/commands/snapshot.hpp>
