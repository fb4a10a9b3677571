// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// Identifiers, time, errors and metadata: the ground under all other rooms.
#include <escqrs/core/backoff.hpp>
#include <escqrs/core/bookmark.hpp>
#include <escqrs/core/clock.hpp>
#include <escqrs/core/error.hpp>
#include <escqrs/core/error_base.hpp>
#include <escqrs/core/function_ref.hpp>
#include <escqrs/core/hex.hpp>
#include <escqrs/core/id_generator.hpp>
#include <escqrs/core/identifiers.hpp>
#include <escqrs/core/metadata.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/core/text_id.hpp>
#include <escqrs/core/timestamp.hpp>
#include <escqrs/core/trace_context.hpp>
