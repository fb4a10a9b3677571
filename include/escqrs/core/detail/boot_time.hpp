// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/timestamp.hpp>

#include <chrono>
#include <cstdio>
#include <ctime>
#include <memory>
#include <string>

// What the core needs of the operating system to measure time.
namespace escqrs::inline v0::detail {

/// The time since the machine's start, in which it may have slept.
inline SteadyTime boot_time()
{
#ifdef CLOCK_BOOTTIME
    std::timespec time{};
    ::clock_gettime(CLOCK_BOOTTIME, &time);
    return SteadyTime{std::chrono::seconds{time.tv_sec} +
                      std::chrono::duration_cast<Duration>(std::chrono::nanoseconds{time.tv_nsec})};
#else
    return SteadyTime{std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch())};
#endif
}

/// The id that the kernel drew when it started; empty where the system has none.
inline std::string boot_id()
{
#ifdef __linux__
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file{std::fopen("/proc/sys/kernel/random/boot_id", "r"),
                                                               [](std::FILE* open) { return std::fclose(open); }};
    char id[37]{}; // a UUID and a zero byte
    if (file && std::fgets(id, sizeof id, file.get()) != nullptr) return id;
#endif
    return {};
}

} // namespace escqrs::inline v0::detail
