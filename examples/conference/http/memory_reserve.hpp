// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <atomic>
#include <cstddef>

namespace http {

/// Memory that is set aside for the moment when there is none: giving it up lets the requests that are under way end, while
/// new ones are refused until it is whole again.
/// @par Thread safety  any thread
class MemoryReserve {
public:
    explicit MemoryReserve(std::size_t bytes = 4 * 1024 * 1024) noexcept : bytes_{bytes} { (void)is_whole(); }
    ~MemoryReserve() { give_up(); }

    MemoryReserve(const MemoryReserve&) = delete;
    MemoryReserve& operator=(const MemoryReserve&) = delete;

    void give_up() noexcept;

    /// Whether the reserve is there. Sets it aside anew if it can.
    bool is_whole() noexcept;

private:
    std::size_t bytes_;
    std::atomic<void*> memory_{nullptr};
};

} // namespace http
