// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/identifiers.hpp>

#include <boost/uuid/name_generator_sha1.hpp>

#include <atomic>
#include <cerrno>
#include <cstddef>
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

} // namespace detail

/// A random UUID (version 4, RFC 9562) from the operating system's secure source; fit to be a secret.
/// @throws std::system_error if the system has no randomness to give
inline Uuid random_uuid()
{
    thread_local detail::RandomBytes random;
    Uuid uuid;
    random.take(uuid.data, sizeof uuid.data);
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
