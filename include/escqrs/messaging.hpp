// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// Messages, what a queue is, one chosen at run time, CloudEvents, and the relay from the log to a queue. The message
// processor is left out, because it is costly to compile.
#include <escqrs/messaging/any_message_queue.hpp>
#include <escqrs/messaging/cloud_events.hpp>
#include <escqrs/messaging/message_properties.hpp>
#include <escqrs/messaging/message_queue.hpp>
#include <escqrs/messaging/message_queue_rules.hpp>
#include <escqrs/messaging/message_queue_time.hpp>
#include <escqrs/messaging/relay.hpp>
#include <escqrs/messaging/stream_read_model.hpp>
