// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// The whole core, but for <escqrs/event_bus.hpp> and <escqrs/archive/boost.hpp>, which are costly to compile, and the stores
// and queues in the folders in_memory/ and sqlite/. A domain needs only <escqrs/aggregate_root.hpp>.
#include <escqrs/advance.hpp>
#include <escqrs/aggregate_root.hpp>
#include <escqrs/archive/binary.hpp>
#include <escqrs/archive/json.hpp>
#include <escqrs/clock.hpp>
#include <escqrs/cloud_events.hpp>
#include <escqrs/codec.hpp>
#include <escqrs/command_bus.hpp>
#include <escqrs/command_dispatcher.hpp>
#include <escqrs/command_info.hpp>
#include <escqrs/commit_result.hpp>
#include <escqrs/decider.hpp>
#include <escqrs/decider_handler.hpp>
#include <escqrs/error.hpp>
#include <escqrs/event.hpp>
#include <escqrs/event_filter.hpp>
#include <escqrs/event_log_digest.hpp>
#include <escqrs/event_store.hpp>
#include <escqrs/id_generator.hpp>
#include <escqrs/identifiers.hpp>
#include <escqrs/jitter.hpp>
#include <escqrs/keyed_executor.hpp>
#include <escqrs/messaging.hpp>
#include <escqrs/metadata.hpp>
#include <escqrs/middleware/deduplication.hpp>
#include <escqrs/middleware/retry_on_conflict.hpp>
#include <escqrs/middleware/timing.hpp>
#include <escqrs/middleware/tracing.hpp>
#include <escqrs/middleware/validation.hpp>
#include <escqrs/parallel_subscription.hpp>
#include <escqrs/parking_lot.hpp>
#include <escqrs/projection.hpp>
#include <escqrs/read_model_schema.hpp>
#include <escqrs/relay.hpp>
#include <escqrs/repository.hpp>
#include <escqrs/retry_policy.hpp>
#include <escqrs/snapshot.hpp>
#include <escqrs/subscription.hpp>
#include <escqrs/timestamp.hpp>
#include <escqrs/trace_context.hpp>
#include <escqrs/upcasting.hpp>
#include <escqrs/version.hpp>
