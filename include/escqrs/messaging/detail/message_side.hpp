// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/codec/codec.hpp>
#include <escqrs/core/error.hpp>
#include <escqrs/core/function_ref.hpp>
#include <escqrs/messaging/message_queue.hpp>
#include <escqrs/messaging/stream_read_model.hpp>

#include <optional>
#include <string>
#include <utility>

namespace escqrs::inline v0::detail {

/// An earlier event of the stream has not been handled yet.
class ESCQRS_EXPORT OutOfOrder : public Error {
public:
    OutOfOrder(const EventContext& found, StreamVersion expected)
        : Error{"stream '" + found.stream.text() + "': expected event version " + std::to_string(expected.value()) +
                ", found " + std::to_string(found.version.value())},
          stream_{found.stream}, expected_{expected}
    {
    }

    const StreamId& stream() const noexcept { return stream_; }
    StreamVersion expected() const noexcept { return expected_; }

private:
    StreamId stream_;
    StreamVersion expected_;
};

/// The part of a processor that depends on its users' types: how messages are read, the handlers of their events, and
/// the read model that these write. Virtual, so that the rest is compiled once.
class MessageSide {
public:
    MessageSide() = default;
    MessageSide(const MessageSide&) = delete;
    MessageSide& operator=(const MessageSide&) = delete;
    virtual ~MessageSide() = default;

    virtual bool is_transactional() const noexcept = 0;
    virtual void transact(FunctionRef<bool()> work) = 0;
    virtual void attempt(FunctionRef<void()> part) = 0;
    virtual bool in_transaction() = 0;
    virtual void check_writable() = 0;

    /// Passes the message's events to their handlers, unless they were handled before.
    /// @return false for a duplicate
    /// @throws OutOfOrder; CodecError, UnknownEventType, NewerSchemaVersion; what handlers and read model throw
    virtual bool apply(const Message& message) = 0;
};

template <StreamReadModel Model, class Messages, class Handlers>
class MessageSideOf final : public MessageSide {
public:
    MessageSideOf(Model model, Messages messages, Handlers& handlers)
        : model_{std::move(model)}, messages_{std::move(messages)}, handlers_{&handlers}
    {
    }

    bool is_transactional() const noexcept override { return Model::is_transactional; }
    void transact(FunctionRef<bool()> work) override { model_.transact(work); }
    void attempt(FunctionRef<void()> part) override { model_.attempt(part); }
    bool in_transaction() override { return model_.in_transaction(); }
    void check_writable() override { model_.check_writable(); }

    bool apply(const Message& message) override
    {
        // The version counts messages: once for each, however many events upcasters make of it, even none.
        std::optional<Advance> advance;
        const auto count = [&](const EventContext& context) {
            if (advance) return;
            if (context.version == StreamVersion{}) throw CodecError{"stream version: expected at least 1, found 0"};
            advance = model_.advance(context.stream, context.version);
            if (*advance == Advance::gap) throw OutOfOrder{context, model_.version_of(context.stream).next()};
        };
        count(messages_.decode(message, [&](const auto& event, const EventContext& context) {
            count(context);
            if (*advance == Advance::apply) show(event, context);
        }));
        return *advance == Advance::apply;
    }

private:
    template <class E>
    void show(const E& event, const EventContext& context)
    {
        if constexpr (requires { handlers_->publish(event, context); }) {
            handlers_->publish(event, context);
        } else if constexpr (requires { handlers_->handle(event, context); }) {
            try {
                handlers_->handle(event, context);
            } catch (const CodecError& error) { // of what the handler reads: the message is in order
                throw Error{error.what()};
            }
        }
    }

    Model model_;
    Messages messages_;
    Handlers* handlers_;
};

} // namespace escqrs::inline v0::detail
