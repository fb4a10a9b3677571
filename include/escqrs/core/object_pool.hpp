// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// Shared by rooms; not API.

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

namespace escqrs::inline v0::detail {

/// Objects that own memory, kept for the next use. They come as they were left.
///
/// They are not part of their owner's value: a copy begins without any.
/// @par Thread safety  may be called from any thread; a loan belongs to one
template <class T>
class ObjectPool {
public:
    class Loan {
    public:
        explicit Loan(ObjectPool& from) : from_{&from}, object_{from.take()} {}
        Loan(const Loan&) = delete;
        Loan& operator=(const Loan&) = delete;
        ~Loan()
        {
            if (is_kept_) from_->give_back(std::move(object_));
        }

        T& operator*() const noexcept { return *object_; }

        /// For an object that has grown too large to be kept: it is destroyed with the loan.
        void discard_afterwards() noexcept { is_kept_ = false; }

    private:
        ObjectPool* from_;
        std::unique_ptr<T> object_;
        bool is_kept_ = true;
    };

    ObjectPool() = default;
    ObjectPool(const ObjectPool& /*other*/) noexcept : ObjectPool{} {}
    ObjectPool& operator=(const ObjectPool& /*other*/) noexcept
    {
        return *this;
    } // NOLINT(bugprone-unhandled-self-assignment)
    ~ObjectPool()
    {
        for (auto& place : idle_) const std::unique_ptr<T> last{place.load(std::memory_order_acquire)};
    }

private:
    static constexpr std::size_t max_idle = 4;

    std::unique_ptr<T> take()
    {
        for (auto& place : idle_) {
            if (place.load(std::memory_order_relaxed) == nullptr) continue;
            if (auto* const taken = place.exchange(nullptr, std::memory_order_acquire))
                return std::unique_ptr<T>{taken};
        }
        return std::make_unique<T>();
    }

    void give_back(std::unique_ptr<T> object) noexcept
    {
        for (auto& place : idle_) {
            T* none = nullptr;
            if (!place.compare_exchange_strong(none, object.get(), std::memory_order_release,
                                               std::memory_order_relaxed))
                continue;
            object.release(); // NOLINT(bugprone-unused-return-value): it is the place's now
            return;
        }
    }

    std::array<std::atomic<T*>, max_idle> idle_{};
};

} // namespace escqrs::inline v0::detail
