// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/identifiers.hpp>
#include <escqrs/store/event_store.hpp>

#include <algorithm>

namespace escqrs::inline v0::detail {

/// The position up to which events that are shown were handled before. While a checkpoint takes over from others (see
/// `TransactionalCheckpoint`), all that is shown is new: each of them had handled what it had come to.
template <class Transaction>
GlobalPosition replay_until(const Transaction& transaction)
{
    if constexpr (requires { transaction.is_taking_over(); }) {
        if (transaction.is_taking_over()) return {};
    }
    return transaction.replay_until();
}

/// True if the checkpoint from which this one has taken the event's stream had passed the event.
template <class Transaction>
bool was_taken_over(const Transaction& transaction, const RecordedEvent& event)
{
    if constexpr (requires { transaction.handled_until(event.stream); }) {
        return event.position <= transaction.handled_until(event.stream);
    } else {
        return false;
    }
}

/// The position up to which a stream has been read: here, or by the checkpoint from which this one has taken it.
template <class Transaction>
GlobalPosition reached_in(const Transaction& transaction, const StreamId& stream)
{
    if constexpr (requires { transaction.handled_until(stream); }) {
        return std::max(transaction.position(), transaction.handled_until(stream));
    } else {
        return transaction.position();
    }
}

} // namespace escqrs::inline v0::detail
