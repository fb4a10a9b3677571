// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "send_window.hpp"

#include <algorithm>
#include <string_view>
#include <unordered_map>

namespace service_bus {

SendWindow::SendWindow(std::span<const escqrs::Message> batch, std::size_t max_in_flight)
    : max_in_flight_{std::max<std::size_t>(max_in_flight, 1)}, left_{batch.size()}, follower_(batch.size(), none),
      is_in_flight_(batch.size(), false)
{
    std::unordered_map<std::string_view, std::size_t> last;
    for (std::size_t index = 0; index < batch.size(); ++index) {
        const std::string_view session = batch[index].session_id;
        const auto before = session.empty() ? last.end() : last.find(session);
        if (before == last.end()) ready_.push(index);
        else follower_[before->second] = index;
        if (!session.empty()) last[session] = index;
    }
}

std::optional<std::size_t> SendWindow::next()
{
    if (ready_.empty() || in_flight_ >= max_in_flight_) return std::nullopt;
    const std::size_t index = ready_.top();
    ready_.pop();
    is_in_flight_[index] = true;
    ++in_flight_;
    return index;
}

void SendWindow::accepted(std::size_t index)
{
    is_in_flight_[index] = false;
    --in_flight_;
    --left_;
    if (follower_[index] != none) ready_.push(follower_[index]);
}

void SendWindow::to_be_retried(std::size_t index)
{
    is_in_flight_[index] = false;
    --in_flight_;
    ready_.push(index);
}

void SendWindow::connection_lost()
{
    if (in_flight_ == 0) return;
    for (std::size_t index = 0; index < is_in_flight_.size(); ++index) {
        if (is_in_flight_[index]) to_be_retried(index);
    }
}

} // namespace service_bus
