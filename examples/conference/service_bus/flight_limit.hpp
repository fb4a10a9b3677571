// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>

namespace service_bus {

/// How much a sender has sent that is not answered yet, in messages and in bytes.
/// @par Thread safety  none
class FlightLimit {
public:
    FlightLimit(std::size_t most_messages, std::size_t most_bytes) noexcept
        : most_messages_{most_messages}, most_bytes_{most_bytes}
    {
    }

    /// Whether one more message may go. The last one may go over the bytes: where nothing is on its way, any may go.
    bool has_room() const noexcept { return messages_ == 0 || (messages_ < most_messages_ && bytes_ < most_bytes_); }

    void sent(std::size_t bytes) noexcept
    {
        ++messages_;
        bytes_ += bytes;
    }
    void answered(std::size_t bytes) noexcept
    {
        --messages_;
        bytes_ -= bytes;
    }
    /// Nothing of it will be answered.
    void clear() noexcept { messages_ = bytes_ = 0; }

private:
    std::size_t most_messages_;
    std::size_t most_bytes_;
    std::size_t messages_ = 0;
    std::size_t bytes_ = 0;
};

} // namespace service_bus
