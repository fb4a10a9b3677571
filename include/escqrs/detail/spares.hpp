// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace escqrs::detail {

/// Objects with memory of their own, kept for whoever needs one next. They come as they were left.
/// @par Thread safety  may be called from any thread; a loan belongs to one
template <class T>
class Spares {
public:
    class Loan {
    public:
        explicit Loan(Spares& from) : from_{&from}, object_{from.take()} {}
        Loan(const Loan&) = delete;
        Loan& operator=(const Loan&) = delete;
        ~Loan() { from_->give_back(std::move(object_)); }

        T& operator*() const noexcept { return *object_; }

    private:
        Spares* from_;
        std::unique_ptr<T> object_;
    };

    Spares() { idle_.reserve(max_idle); }

private:
    static constexpr std::size_t max_idle = 4;

    std::unique_ptr<T> take()
    {
        {
            const std::scoped_lock lock{mutex_};
            if (!idle_.empty()) {
                auto taken = std::move(idle_.back());
                idle_.pop_back();
                return taken;
            }
        }
        return std::make_unique<T>();
    }

    void give_back(std::unique_ptr<T> object) noexcept
    {
        const std::scoped_lock lock{mutex_};
        if (idle_.size() < max_idle) idle_.push_back(std::move(object));
    }

    std::mutex mutex_;
    std::vector<std::unique_ptr<T>> idle_;
};

} // namespace escqrs::detail
