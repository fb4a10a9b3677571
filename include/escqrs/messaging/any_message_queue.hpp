// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/check_option.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/messaging/message_queue.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace escqrs::inline v0 {

/// Any message receiver, chosen at run time. Copies refer to the same receiver.
/// @par Thread safety  as the receiver inside
class AnyMessageReceiver {
public:
    /// Refers to `receiver`, which must outlive this and its copies.
    template <MessageReceiver Receiver>
        requires(!std::derived_from<Receiver, AnyMessageReceiver>)
    AnyMessageReceiver(Receiver& receiver) // NOLINT(google-explicit-constructor): it stands for the receiver
        : receiver_{std::shared_ptr<void>{}, &receiver}, calls_{&calls_to<Receiver>}
    {
    }

    /// Passed on to the receiver inside, as `MessageReceiver`, `ReleasingReceiver` and `DeadLetterQueue` describe it.
    /// @{
    std::vector<ReceivedMessage> receive(std::size_t at_most, Duration wait, stop_token stop)
    {
        return calls_->receive(receiver_.get(), at_most, wait, std::move(stop));
    }
    void settle(const ReceivedMessage& message, const Disposition& disposition)
    {
        calls_->settle(receiver_.get(), message, disposition);
    }
    std::vector<SettlementResult> settle(std::span<const Settlement> settlements)
    {
        return calls_->settle_all(receiver_.get(), settlements);
    }
    void renew_lock(ReceivedMessage& message) { calls_->renew_lock(receiver_.get(), message); }

    /// Whether the receiver is a `ReleasingReceiver`. If not, `release` does nothing.
    bool can_release() const noexcept { return calls_->release != nullptr; }
    void release(std::span<const ReceivedMessage> messages)
    {
        if (can_release()) calls_->release(receiver_.get(), messages);
    }

    /// Whether the receiver is a `DeadLetterQueue`. If not, it has no dead letters.
    bool can_list_dead_letters() const noexcept { return calls_->dead_letters != nullptr; }
    std::vector<DeadLetteredMessage> dead_letters(std::uint64_t after, std::size_t at_most)
    {
        if (!can_list_dead_letters()) return {};
        return calls_->dead_letters(receiver_.get(), after, at_most);
    }
    bool resubmit(const std::string& message_id)
    {
        return can_list_dead_letters() && calls_->resubmit(receiver_.get(), message_id);
    }
    /// @}

protected:
    /// Shares ownership of `receiver`.
    template <MessageReceiver Receiver>
    explicit AnyMessageReceiver(std::shared_ptr<Receiver> receiver)
        : receiver_{(detail::check_given(receiver, "queue"), std::move(receiver))}, calls_{&calls_to<Receiver>}
    {
    }

    void* receiver() const noexcept { return receiver_.get(); } ///< of the type that was given

private:
    struct Calls {
        std::vector<ReceivedMessage> (*receive)(void*, std::size_t, Duration, stop_token);
        void (*settle)(void*, const ReceivedMessage&, const Disposition&);
        std::vector<SettlementResult> (*settle_all)(void*, std::span<const Settlement>);
        void (*renew_lock)(void*, ReceivedMessage&);
        void (*release)(void*, std::span<const ReceivedMessage>) = nullptr;
        std::vector<DeadLetteredMessage> (*dead_letters)(void*, std::uint64_t, std::size_t) = nullptr;
        bool (*resubmit)(void*, const std::string&) = nullptr;
    };

    template <class Receiver>
    static constexpr Calls make_calls()
    {
        Calls calls{
            .receive =
                [](void* receiver, std::size_t at_most, Duration wait, stop_token stop) {
                    return static_cast<Receiver*>(receiver)->receive(at_most, wait, std::move(stop));
                },
            .settle =
                [](void* receiver, const ReceivedMessage& message, const Disposition& disposition) {
                    static_cast<Receiver*>(receiver)->settle(message, disposition);
                },
            .settle_all =
                [](void* receiver, std::span<const Settlement> settlements) {
                    return static_cast<Receiver*>(receiver)->settle(settlements);
                },
            .renew_lock = [](void* receiver,
                             ReceivedMessage& message) { static_cast<Receiver*>(receiver)->renew_lock(message); },
        };
        if constexpr (ReleasingReceiver<Receiver>) {
            calls.release = [](void* receiver, std::span<const ReceivedMessage> messages) {
                static_cast<Receiver*>(receiver)->release(messages);
            };
        }
        if constexpr (DeadLetterQueue<Receiver>) {
            calls.dead_letters = [](void* receiver, std::uint64_t after, std::size_t at_most) {
                return static_cast<Receiver*>(receiver)->dead_letters(after, at_most);
            };
            calls.resubmit = [](void* receiver, const std::string& message_id) {
                return static_cast<Receiver*>(receiver)->resubmit(message_id);
            };
        }
        return calls;
    }

    template <class Receiver>
    static constexpr Calls calls_to = make_calls<Receiver>();

    std::shared_ptr<void> receiver_;
    const Calls* calls_;
};

/// Any queue, chosen at run time: sender, receiver and dead letters. Copies share the queue.
/// @par Thread safety  as the queue inside
class AnyMessageQueue : public AnyMessageReceiver {
    template <class Queue>
    static constexpr bool is_queue = MessageSender<Queue> && MessageReceiver<Queue> && DeadLetterQueue<Queue> &&
                                     !std::derived_from<Queue, AnyMessageQueue>;

public:
    /// Shares ownership.
    /// @throws InvalidOption if the pointer is null
    template <class Queue>
        requires is_queue<Queue>
    explicit AnyMessageQueue(std::shared_ptr<Queue> queue)
        : AnyMessageReceiver{std::move(queue)}, send_{&send_to<Queue>}
    {
    }

    /// Refers to `queue`, which must outlive this and its copies.
    template <class Queue>
        requires is_queue<Queue>
    explicit AnyMessageQueue(Queue& queue) : AnyMessageReceiver{queue}, send_{&send_to<Queue>}
    {
    }

    /// Passed on to the queue inside, as `MessageSender` describes it.
    void send(std::span<const Message> messages) { send_(receiver(), messages); }

private:
    template <class Queue>
    static void send_to(void* queue, std::span<const Message> messages)
    {
        static_cast<Queue*>(queue)->send(messages);
    }

    void (*send_)(void*, std::span<const Message>);
};

static_assert(MessageReceiver<AnyMessageReceiver>);
static_assert(MessageSender<AnyMessageQueue> && MessageReceiver<AnyMessageQueue> && DeadLetterQueue<AnyMessageQueue>);

} // namespace escqrs::inline v0
