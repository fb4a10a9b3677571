// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <new>
#include <system_error>

#ifdef _WIN32
#include <random>
#else
#include <sys/mman.h>
#include <unistd.h>
#if __has_include(<sys/random.h>)
#include <sys/random.h>
#endif
#endif

// What the core needs of the operating system to draw random numbers.
namespace escqrs::inline v0::detail {

#ifdef _WIN32 // where no process is forked, and the standard's device is the system's secure source

inline unsigned fork_number() noexcept { return 1; }

inline void draw_random_bytes(std::byte* to, std::size_t size)
{
    std::random_device device;
    for (std::size_t at = 0; at < size; ++at) to[at] = static_cast<std::byte>(device() & 0xFFU);
}

#else

/// A number in memory that the kernel hands to a forked process filled with zeros, whichever call forked it; null if the
/// system has no such memory.
inline std::atomic<unsigned>* number_wiped_by_fork() noexcept
{
#ifdef MADV_WIPEONFORK
    constexpr std::size_t size = sizeof(std::atomic<unsigned>);
    void* const page = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    // An emulator may accept any advice and heed none.
    if (page != MAP_FAILED && ::madvise(page, size, -1) != 0 && ::madvise(page, size, MADV_WIPEONFORK) == 0)
        return new (page) std::atomic<unsigned>;
#endif
    return nullptr;
}

/// Made when the program is loaded: a fork in the middle of making it at its first use would leave it unmade for ever.
inline std::atomic<unsigned>* const wiped_by_fork = number_wiped_by_fork();

/// Tells this process from those that it was forked from, and from its own forks; 0 if the system cannot.
inline unsigned fork_number() noexcept
{
    static std::atomic<unsigned> last{0};
    if (wiped_by_fork == nullptr) return 0;
    if (wiped_by_fork->load(std::memory_order_relaxed) == 0) wiped_by_fork->store(++last, std::memory_order_relaxed);
    return wiped_by_fork->load(std::memory_order_relaxed);
}

/// @param size  256 at most
inline void draw_random_bytes(std::byte* to, std::size_t size)
{
    if (::getentropy(to, size) != 0) throw std::system_error{errno, std::generic_category(), "getentropy"};
}

#endif

/// Random bytes drawn ahead from the system's secure source: the call takes longer than the bytes do.
class RandomBytes {
public:
    /// @throws std::system_error if the system has no randomness to give
    void take(void* to, std::size_t size)
    {
        const unsigned fork = fork_number();
        if (left_ < size || fork != fork_ || fork == 0) refill(fork);
        left_ -= size;
        std::memcpy(to, bytes_ + left_, size);
    }

private:
    void refill(unsigned fork)
    {
        left_ = 0;
        draw_random_bytes(bytes_, sizeof bytes_);
        left_ = sizeof bytes_;
        fork_ = fork;
    }

    std::byte bytes_[256]; // the most that getentropy gives. NOLINT(cppcoreguidelines-pro-type-member-init)
    std::size_t left_ = 0;
    unsigned fork_ = 0; ///< number of the process that drew them
};

/// Those of the calling thread.
inline RandomBytes& random_bytes()
{
    thread_local RandomBytes random;
    return random;
}

} // namespace escqrs::inline v0::detail
