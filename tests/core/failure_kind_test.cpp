// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/core/error.hpp>

#include <escqrs/testing/catch2.hpp>

#include <exception>
#include <new>
#include <stdexcept>
#include <vector>

using escqrs::classify;
using escqrs::FailureKind;

TEST_CASE("a failure of a store, a queue or the memory says nothing about the work, and all others do")
{
    CHECK(classify(escqrs::StoreError{"gone"}) == FailureKind::unavailable);
    CHECK(classify(escqrs::TransportError{"gone"}) == FailureKind::unavailable);
    CHECK(classify(std::bad_alloc{}) == FailureKind::unavailable);
    CHECK(classify(escqrs::MessageRefused{"1", "too large"}) == FailureKind::refused);
    CHECK(classify(escqrs::InvalidOption{"page_size", "at least 1", "0"}) == FailureKind::refused);
    CHECK(classify(escqrs::CodecError{"torn"}) == FailureKind::refused);
    CHECK(classify(escqrs::CommandDeadlineExceeded{"Register"}) == FailureKind::refused);
    CHECK(classify(std::runtime_error{"a handler's"}) == FailureKind::refused);
}

TEST_CASE("a conflict and a stop are in the way of the work, and a wrong log or read model keeps it from being done")
{
    const auto stream = escqrs::StreamId::parse("door-1");
    CHECK(classify(escqrs::ConcurrencyError{stream, escqrs::ExpectedVersion::any(), {}}) == FailureKind::interrupted);
    CHECK(classify(escqrs::PreconditionFailed{stream, escqrs::ExpectedVersion::any(), {}}) == FailureKind::refused);
    CHECK(classify(escqrs::CommandCancelled{"Register"}) == FailureKind::interrupted);
    CHECK(classify(escqrs::ReadModelSuperseded{"there is a version 2"}) == FailureKind::broken);
    CHECK(classify(escqrs::LogMismatch{"an older log", {}, {}, {}}) == FailureKind::broken);
}

TEST_CASE("a failure of several subscribers is the event's own if that of each one is")
{
    std::vector<std::exception_ptr> failures{std::make_exception_ptr(std::runtime_error{"a handler's"}),
                                             std::make_exception_ptr(7)};
    CHECK(classify(escqrs::EventDispatchError{"two", failures}) == FailureKind::refused);
    failures.push_back(std::make_exception_ptr(escqrs::StoreError{"gone"}));
    CHECK(classify(escqrs::EventDispatchError{"three", failures}) == FailureKind::unavailable);
}
