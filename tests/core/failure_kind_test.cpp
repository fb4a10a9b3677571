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
    CHECK(classify(std::runtime_error{"a handler's"}) == FailureKind::refused);
}

TEST_CASE("a failure of several subscribers is the event's own if that of each one is")
{
    std::vector<std::exception_ptr> failures{std::make_exception_ptr(std::runtime_error{"a handler's"}),
                                             std::make_exception_ptr(7)};
    CHECK(classify(escqrs::EventDispatchError{"two", failures}) == FailureKind::refused);
    failures.push_back(std::make_exception_ptr(escqrs::StoreError{"gone"}));
    CHECK(classify(escqrs::EventDispatchError{"three", failures}) == FailureKind::unavailable);
}
