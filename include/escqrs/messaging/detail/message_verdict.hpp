// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/error.hpp>
#include <escqrs/core/readable_text.hpp>
#include <escqrs/messaging/detail/message_side.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace escqrs::inline v0::detail {

/// How much of an error a message may carry: queues limit its size.
inline constexpr std::size_t max_description_length = 4000;
/// How much of an error's text a line of a log or a property of a message takes, in bytes.
inline constexpr std::size_t max_error_length = 500;

/// What a processor found out about a message.
struct MessageVerdict {
    enum class Outcome : std::uint8_t {
        not_seen,
        handled, ///< now or before
        /// An earlier event of its stream is missing.
        early,
        failed, ///< by its handlers
        poison, ///< it cannot be read
    };

    struct MissingEvent {
        StreamId stream;
        StreamVersion version;
    };

    Outcome outcome = Outcome::not_seen;
    bool is_new = false; ///< handled now, and not a duplicate
    std::string reason{};
    std::string description{};
    std::optional<MissingEvent> missing{}; ///< if it came early
};

/// One for each message of a batch; none for one whose lock is lost.
using MessageVerdicts = std::vector<std::optional<MessageVerdict>>;

/// True if a failure comes from the read model's state, and would come with any other message as well.
inline bool is_outage(const std::exception_ptr& failure)
{
    try {
        std::rethrow_exception(failure);
    } catch (const EventDispatchError& error) {
        return std::any_of(error.failures().begin(), error.failures().end(), is_outage);
    } catch (const StoreError& error) {
        return error.failure_kind() != FailureKind::refused;
    } catch (...) {
        return false;
    }
}

/// The verdict after the failure that is being handled.
/// @throws StoreError after an outage
inline MessageVerdict verdict_of_failure()
{
    using Outcome = MessageVerdict::Outcome;
    const auto verdict = [](Outcome outcome, const char* reason, const std::string& error) {
        return MessageVerdict{
            .outcome = outcome, .reason = reason, .description = readable(error, max_description_length)};
    };
    try {
        throw;
    } catch (const UnknownEventType& error) {
        return verdict(Outcome::poison, "UnknownEventType", error.what());
    } catch (const NewerSchemaVersion& error) {
        return verdict(Outcome::poison, "NewerSchemaVersion", error.what());
    } catch (const CodecError& error) {
        return verdict(Outcome::poison, "CodecError", error.what());
    } catch (const OutOfOrder& error) {
        MessageVerdict early = verdict(Outcome::early, "OutOfOrder", error.what());
        early.missing = {error.stream(), error.expected()};
        return early;
    } catch (...) {
        const std::string error = text_of(std::current_exception());
        if (is_outage(std::current_exception())) throw StoreError{error};
        return verdict(Outcome::failed, "HandlerFailed", error);
    }
}

} // namespace escqrs::inline v0::detail
