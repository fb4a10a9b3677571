// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/hex.hpp>
#include <escqrs/core/identifiers.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace service_bus {

/// The lock token in a Service Bus delivery's tag, which holds a .NET Guid: its first three groups have their bytes in
/// little-endian order. A tag of another length comes as its hexadecimal digits.
inline std::string text_of_delivery_tag(std::string_view tag)
{
    constexpr std::array<std::size_t, 16> order{3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    if (tag.size() == order.size()) {
        escqrs::Uuid uuid{};
        for (std::size_t at = 0; at < order.size(); ++at) uuid.data[at] = static_cast<std::uint8_t>(tag[order[at]]);
        return escqrs::to_string(uuid);
    }
    return escqrs::to_hex(tag);
}

} // namespace service_bus
