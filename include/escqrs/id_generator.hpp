// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/identifiers.hpp>

#include <boost/uuid/name_generator_sha1.hpp>

#include <cerrno>
#include <functional>
#include <string_view>
#include <system_error>
#include <unistd.h>

namespace escqrs {

/// Draws a new UUID. Called from any thread at once, so it must be thread-safe.
using IdGenerator = std::function<Uuid()>;

/// A random UUID (version 4, RFC 9562) from the operating system's secure source; fit to be a secret.
/// @throws std::system_error if the system has no randomness to give
inline Uuid random_uuid()
{
    Uuid uuid;
    if (::getentropy(uuid.data, sizeof uuid.data) != 0)
        throw std::system_error{errno, std::generic_category(), "getentropy"};
    uuid.data[6] = static_cast<std::uint8_t>((uuid.data[6] & 0x0FU) | 0x40U);
    uuid.data[8] = static_cast<std::uint8_t>((uuid.data[8] & 0x3FU) | 0x80U);
    return uuid;
}

/// The UUID of a name within a namespace (version 5): the same for the same name, everywhere and always.
inline Uuid name_based_uuid(const Uuid& name_space, std::string_view name)
{
    return boost::uuids::name_generator_sha1{name_space}(name.data(), name.size());
}

} // namespace escqrs
