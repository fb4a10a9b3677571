// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/archive/binary.hpp>
#include <escqrs/event.hpp>

#include <cstddef>
#include <vector>

namespace escqrs::testing::detail {

/// The event as it comes back from a store.
template <class E>
E stored_form(const E& event)
{
    std::vector<std::byte> bytes;
    archive::BinaryOutput{bytes}.root(event, schema_version<E>());
    E stored{};
    archive::BinaryInput input{bytes};
    input.root(stored, schema_version<E>());
    input.finish();
    return stored;
}

} // namespace escqrs::testing::detail
