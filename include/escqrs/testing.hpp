// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// Given-when-then, golden files, a virtual clock. What needs Catch2 stands apart: <escqrs/testing/catch2.hpp>,
// <escqrs/testing/catch2_scenario.hpp>, and the conformance suites of stores and queues.
#include <escqrs/testing/command_recorder.hpp>
#include <escqrs/testing/event_recorder.hpp>
#include <escqrs/testing/expectation_failed.hpp>
#include <escqrs/testing/expected_events.hpp>
#include <escqrs/testing/field_tree.hpp>
#include <escqrs/testing/fields_of.hpp>
#include <escqrs/testing/given_events.hpp>
#include <escqrs/testing/given_when_then.hpp>
#include <escqrs/testing/golden.hpp>
#include <escqrs/testing/manual_clock.hpp>
#include <escqrs/testing/sequential_ids.hpp>
#include <escqrs/testing/specification.hpp>
