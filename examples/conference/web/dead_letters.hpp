// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/messaging/message_queue.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace conference::web {

/// The queue's dead letters, whatever the queue is.
class DeadLetters {
public:
    DeadLetters() = default;
    DeadLetters(const DeadLetters&) = delete;
    DeadLetters& operator=(const DeadLetters&) = delete;
    virtual ~DeadLetters() = default;

    virtual std::vector<escqrs::DeadLetteredMessage> list(std::uint64_t after, std::size_t at_most) = 0;
    virtual bool resubmit(const std::string& message_id) = 0;
};

template <escqrs::DeadLetterQueue Queue>
class DeadLettersOf final : public DeadLetters {
public:
    /// @param queue  must live longer
    explicit DeadLettersOf(Queue& queue) : queue_{&queue} {}

    std::vector<escqrs::DeadLetteredMessage> list(std::uint64_t after, std::size_t at_most) override
    {
        return queue_->dead_letters(after, at_most);
    }
    bool resubmit(const std::string& message_id) override { return queue_->resubmit(message_id); }

private:
    Queue* queue_;
};

} // namespace conference::web
