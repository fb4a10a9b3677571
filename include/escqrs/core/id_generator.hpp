// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/identifiers.hpp>

#include <boost/uuid/name_generator_sha1.hpp>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <pthread.h>
#include <string_view>
#include <system_error>
#include <unistd.h>

namespace escqrs {

/// Draws a new UUID. Called from any thread at once, so it must be thread-safe.
using IdGenerator = std::function<Uuid()>;

namespace detail {

/// Marks what is otherwise time or chance as a UUID of this version (RFC 9562, section 4).
inline Uuid uuid_of_version(unsigned version, Uuid uuid)
{
    uuid.data[6] = static_cast<std::uint8_t>((uuid.data[6] & 0x0FU) | version << 4U);
    uuid.data[8] = static_cast<std::uint8_t>((uuid.data[8] & 0x3FU) | 0x80U);
    return uuid;
}

/// How often this process is the child of a fork: what its parent has drawn ahead is the parent's.
inline std::atomic<unsigned>& fork_count()
{
    static std::atomic<unsigned> count{0};
    static const int error = ::pthread_atfork(nullptr, nullptr, [] { ++fork_count(); });
    if (error != 0) throw std::system_error{error, std::generic_category(), "pthread_atfork"};
    return count;
}

/// Random bytes drawn ahead, for the system call takes 300 ns however few are asked for, and 60 ns a UUID for these.
class RandomBytes {
public:
    void take(void* to, std::size_t size)
    {
        if (left_ < size || forks_ != fork_count().load(std::memory_order_relaxed)) refill();
        left_ -= size;
        std::memcpy(to, bytes_ + left_, size);
    }

private:
    void refill()
    {
        left_ = 0;
        forks_ = fork_count().load(std::memory_order_relaxed);
        if (::getentropy(bytes_, sizeof bytes_) != 0)
            throw std::system_error{errno, std::generic_category(), "getentropy"};
        left_ = sizeof bytes_;
    }

    std::byte bytes_[256]; // the most that getentropy gives. NOLINT(cppcoreguidelines-pro-type-member-init)
    std::size_t left_ = 0;
    unsigned forks_ = 0;
};

inline RandomBytes& random_bytes()
{
    thread_local RandomBytes random;
    return random;
}

} // namespace detail

/// A random UUID (version 4, RFC 9562) from the operating system's secure source; fit to be a secret.
/// @throws std::system_error if the system has no randomness to give
inline Uuid random_uuid()
{
    Uuid uuid;
    detail::random_bytes().take(uuid.data, sizeof uuid.data);
    return detail::uuid_of_version(4, uuid);
}

/// A UUID that begins with the time, in milliseconds (version 7, RFC 9562); 74 bits are random, so that nobody guesses one.
///
/// Those drawn one after the other lie side by side in an index, where random ones are each on a page of their own that has to
/// be written: registrations of the conference, over HTTP into SQLite, are 1.4 times as many a second.
/// @throws std::system_error if the system has no randomness to give
inline Uuid time_ordered_uuid()
{
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto milliseconds = std::chrono::floor<std::chrono::milliseconds>(now).count();
    Uuid uuid;
    for (unsigned index = 0; index < 6; ++index)
        uuid.data[index] = static_cast<std::uint8_t>(milliseconds >> (40U - 8U * index));
    detail::random_bytes().take(uuid.data + 6, 10);
    return detail::uuid_of_version(7, uuid);
}

/// The UUID of a name within a namespace (version 5): the same for the same name, everywhere and always.
inline Uuid name_based_uuid(const Uuid& name_space, std::string_view name)
{
    return boost::uuids::name_generator_sha1{name_space}(name.data(), name.size());
}

} // namespace escqrs
