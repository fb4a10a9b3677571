// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/error.hpp>

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace conference {

/// Remembers the last read that failed, and reads again when asked how reads are: damaged pages in the middle of a database
/// concern only those who read them.
/// @par Thread safety  any thread
class FailedRead {
public:
    /// @param again  reads the same once more; throws while that fails
    void remember(std::function<void()> again)
    {
        const std::scoped_lock lock{mutex_};
        ++failures_;
        again_ = std::move(again);
    }

    /// Why that read fails; nothing once it has succeeded.
    /// @throws what the read throws that is no StoreError
    std::optional<std::string> problem()
    {
        std::unique_lock lock{mutex_};
        if (!again_) return std::nullopt;
        const auto again = again_;
        const auto failures = failures_;
        lock.unlock();
        try {
            again();
        } catch (const escqrs::StoreError& error) {
            return std::string{"a read failed, and fails again: "} + error.what();
        }
        lock.lock();
        if (failures == failures_) again_ = nullptr;
        return std::nullopt;
    }

private:
    std::mutex mutex_;
    std::function<void()> again_;
    std::uint64_t failures_ = 0;
};

} // namespace conference
