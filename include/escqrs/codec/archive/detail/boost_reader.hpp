// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/codec/archive/detail/binary_layout.hpp>

#include <boost/archive/detail/register_archive.hpp>
#include <boost/archive/impl/archive_serializer_map.ipp> // for archives of one's own; has no include guard

#include <cstddef>
#include <istream>
#include <stdexcept>
#include <string>

namespace escqrs::inline v0::archive::detail {

/// Refuses a number of characters or elements that exceeds the bytes that are left; some more, because an element may
/// take none. The stream must be that of a `BoostInputBuffer`.
inline void require_count(std::istream& stream, std::size_t count)
{
    const auto left = static_cast<std::size_t>(stream.rdbuf()->in_avail() < 0 ? 0 : stream.rdbuf()->in_avail());
    if (count > left + max_empty_elements)
        throw std::length_error{std::to_string(count) + " in " + std::to_string(left) + " bytes"};
}

} // namespace escqrs::inline v0::archive::detail
