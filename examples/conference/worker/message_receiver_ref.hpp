// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/messaging/message_queue.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stop_token>
#include <utility>
#include <vector>

namespace conference {

/// Refers to a message receiver of any type, which is chosen at run time and must live longer. Copies refer to the same.
/// @par Thread safety  as the receiver
class MessageReceiverRef {
public:
    template <escqrs::MessageReceiver Receiver>
        requires(!std::same_as<Receiver, MessageReceiverRef>)
    explicit MessageReceiverRef(Receiver& receiver) : receiver_{std::make_shared<Model<Receiver>>(receiver)}
    {
    }

    std::vector<escqrs::ReceivedMessage> receive(std::size_t at_most, escqrs::Duration wait, std::stop_token stop)
    {
        return receiver_->receive(at_most, wait, std::move(stop));
    }
    void settle(const escqrs::ReceivedMessage& message, const escqrs::Disposition& disposition)
    {
        receiver_->settle(message, disposition);
    }
    std::vector<escqrs::SettlementResult> settle(std::span<const escqrs::Settlement> settlements)
    {
        return receiver_->settle(settlements);
    }
    void renew_lock(escqrs::ReceivedMessage& message) { receiver_->renew_lock(message); }

    /// Whether the receiver has a `release`, which gives messages back as if they had never been delivered.
    bool can_release() const { return receiver_->can_release(); }
    void release(std::span<const escqrs::ReceivedMessage> messages) { receiver_->release(messages); }

    /// Whether the receiver is a `DeadLetterQueue` as well.
    bool can_list_dead_letters() const { return receiver_->can_list_dead_letters(); }
    std::vector<escqrs::DeadLetteredMessage> dead_letters(std::uint64_t after, std::size_t at_most)
    {
        return receiver_->dead_letters(after, at_most);
    }

private:
    struct Interface {
        virtual ~Interface() = default;
        virtual std::vector<escqrs::ReceivedMessage> receive(std::size_t, escqrs::Duration, std::stop_token) = 0;
        virtual void settle(const escqrs::ReceivedMessage&, const escqrs::Disposition&) = 0;
        virtual std::vector<escqrs::SettlementResult> settle(std::span<const escqrs::Settlement>) = 0;
        virtual void renew_lock(escqrs::ReceivedMessage&) = 0;
        virtual bool can_release() const = 0;
        virtual void release(std::span<const escqrs::ReceivedMessage>) = 0;
        virtual bool can_list_dead_letters() const = 0;
        virtual std::vector<escqrs::DeadLetteredMessage> dead_letters(std::uint64_t, std::size_t) = 0;
    };

    template <class Receiver>
    struct Model final : Interface {
        explicit Model(Receiver& chosen) noexcept : receiver{&chosen} {}

        std::vector<escqrs::ReceivedMessage> receive(std::size_t at_most, escqrs::Duration wait,
                                                     std::stop_token stop) override
        {
            return receiver->receive(at_most, wait, std::move(stop));
        }
        void settle(const escqrs::ReceivedMessage& message, const escqrs::Disposition& disposition) override
        {
            receiver->settle(message, disposition);
        }
        std::vector<escqrs::SettlementResult> settle(std::span<const escqrs::Settlement> settlements) override
        {
            return receiver->settle(settlements);
        }
        void renew_lock(escqrs::ReceivedMessage& message) override { receiver->renew_lock(message); }
        static constexpr bool has_release =
            requires(Receiver& chosen, std::span<const escqrs::ReceivedMessage> messages) { chosen.release(messages); };
        bool can_release() const override { return has_release; }
        void release(std::span<const escqrs::ReceivedMessage> messages) override
        {
            if constexpr (has_release) receiver->release(messages);
        }
        bool can_list_dead_letters() const override { return escqrs::DeadLetterQueue<Receiver>; }
        std::vector<escqrs::DeadLetteredMessage> dead_letters(std::uint64_t after, std::size_t at_most) override
        {
            if constexpr (escqrs::DeadLetterQueue<Receiver>) return receiver->dead_letters(after, at_most);
            else return {};
        }

        Receiver* receiver;
    };

    std::shared_ptr<Interface> receiver_;
};

static_assert(escqrs::MessageReceiver<MessageReceiverRef>);

} // namespace conference
