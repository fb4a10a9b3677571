// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/testing/detail/message_queue_dead_letters.hpp>
#include <escqrs/testing/detail/message_queue_delivery.hpp>
#include <escqrs/testing/detail/message_queue_fixture.hpp>
#include <escqrs/testing/detail/message_queue_sending.hpp>
#include <escqrs/testing/detail/message_queue_sessions.hpp>
#include <escqrs/testing/detail/message_queue_stress.hpp>
#include <escqrs/testing/detail/message_queue_time.hpp>

/// Defines the Catch2 test cases that every queue passes, whatever it is made of.
///
/// `name` is the prefix of the test cases' names; `make_fixture` is called with the `MessageQueueOptions` that a test
/// wants and returns an `escqrs::testing::MessageQueueFixture` with an empty queue. For example, in a test's source
/// file:
/// @code
/// ESCQRS_MESSAGE_QUEUE_CONFORMANCE("in memory", [](const escqrs::MessageQueueOptions& o) { return Fixture{o}; })
/// @endcode
#define ESCQRS_MESSAGE_QUEUE_CONFORMANCE(name, ...)                                                                    \
    TEST_CASE(name " queue: delivery") { escqrs::testing::check_message_delivery(__VA_ARGS__); }                       \
    TEST_CASE(name " queue: sending") { escqrs::testing::check_message_sending(__VA_ARGS__); }                         \
    TEST_CASE(name " queue: sessions") { escqrs::testing::check_message_sessions(__VA_ARGS__); }                       \
    TEST_CASE(name " queue: time") { escqrs::testing::check_message_queue_time(__VA_ARGS__); }                         \
    TEST_CASE(name " queue: dead letters") { escqrs::testing::check_dead_letters(__VA_ARGS__); }                       \
    TEST_CASE(name " queue: under load") { escqrs::testing::check_message_queue_under_load(__VA_ARGS__); }
