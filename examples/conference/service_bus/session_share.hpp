// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <algorithm>
#include <cstddef>

namespace service_bus {

/// How one call of `receive` parts its messages among sessions: each may give an eighth, but 8 at least, so that several
/// sessions take part and a long one still comes in large pieces.
/// @par Thread safety  none
class CreditShare {
public:
    explicit CreditShare(std::size_t at_most) noexcept
        : left_{at_most}, share_{std::max<std::size_t>((at_most + 7) / 8, 8)}
    {
    }

    /// What the next session may be asked for; 0 if all is given out.
    std::size_t take() noexcept
    {
        const std::size_t taken = std::min(left_, share_);
        left_ -= taken;
        return taken;
    }

    /// So many have come already, from elsewhere.
    void use(std::size_t messages) noexcept { left_ -= std::min(left_, messages); }

    /// A session had fewer.
    void give_back(std::size_t unused) noexcept { left_ += unused; }

    std::size_t left() const noexcept { return left_; }

private:
    std::size_t left_;
    std::size_t share_;
};

} // namespace service_bus
