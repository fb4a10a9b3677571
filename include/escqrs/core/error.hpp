// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/bookmark.hpp>
#include <escqrs/core/error_base.hpp>
#include <escqrs/core/identifiers.hpp>

#include <cstddef>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace escqrs::inline v0 {

/// What an exception says, whatever its type: `what()`, or that it is not a std::exception.
inline std::string text_of(const std::exception_ptr& failure)
{
    try {
        std::rethrow_exception(failure);
    } catch (const std::exception& error) {
        return error.what();
    } catch (...) {
        return "something that is not a std::exception was thrown";
    }
}

/// What a failure says about the work that failed. One that is not of the library's types is taken for the work's own,
/// except for a lack of memory.
/// @par Databases  `failure_kind` of their `DatabaseError` distinguishes their own codes
inline FailureKind classify(const std::exception& failure) noexcept
{
    if (const auto* const error = dynamic_cast<const Error*>(&failure)) return error->failure_kind();
    return dynamic_cast<const std::bad_alloc*>(&failure) != nullptr ? FailureKind::unavailable : FailureKind::refused;
}

/// A stream was not at the version that an append expected. Nothing was written; load again and decide again.
class ESCQRS_EXPORT ConcurrencyError : public Error {
public:
    ConcurrencyError(StreamId stream, ExpectedVersion expected, StreamVersion actual)
        : Error{"concurrency conflict on stream '" + stream.text() + "': expected " + to_string(expected) +
                ", found version " + std::to_string(actual.value())},
          stream_{std::move(stream)}, expected_{expected}, actual_{actual}
    {
    }

    const StreamId& stream() const noexcept { return stream_; }     ///< that was appended to
    ExpectedVersion expected() const noexcept { return expected_; } ///< by the caller
    StreamVersion actual() const noexcept { return actual_; }       ///< of the stream; 0 if it does not exist

    FailureKind failure_kind() const noexcept override { return FailureKind::interrupted; }

private:
    StreamId stream_;
    ExpectedVersion expected_;
    StreamVersion actual_;
};

/// A command expected another version of the aggregate than it has (`Repository::execute`): the sender has decided on
/// what is outdated. Nothing was written, and the same command fails again.
class ESCQRS_EXPORT PreconditionFailed : public ConcurrencyError {
public:
    using ConcurrencyError::ConcurrencyError;

    FailureKind failure_kind() const noexcept override { return FailureKind::refused; }
};

/// An append reuses an event id that another append has already stored.
class ESCQRS_EXPORT DuplicateEventId : public Error {
public:
    DuplicateEventId(const StreamId& stream, EventId id)
        : Error{"append to stream '" + stream.text() + "' refused: event id " + to_string(id) +
                " is already stored by a different append"},
          id_{id}
    {
    }

    EventId id() const noexcept { return id_; } ///< that is stored already

private:
    EventId id_;
};

/// A change was not stored, because its command id belongs to another change: one command id is one append to one
/// stream.
class ESCQRS_EXPORT CommandIdRefused : public Error {
public:
    /// The id is that of an append that ended at version `stored_at` of stream `stored_in`.
    CommandIdRefused(const CommandId& command, StreamId stream, StreamId stored_in, StreamVersion stored_at)
        : Error{"command " + to_string(command) + " refused for stream '" + stream.text() +
                "': this id is stored already, up to version " + std::to_string(stored_at.value()) + " of stream '" +
                stored_in.text() + "'; one command id is one append to one stream"},
          command_{command}, stream_{std::move(stream)}, stored_in_{std::move(stored_in)}
    {
    }

    /// The change holds events that an earlier save, which failed, has given to another command.
    CommandIdRefused(const CommandId& command, StreamId stream)
        : Error{"command " + to_string(command) + " refused for stream '" + stream.text() +
                "': the aggregate still holds events of a save that failed under another command id; save them under "
                "that one, or load the aggregate again"},
          command_{command}, stream_{std::move(stream)}
    {
    }

    const CommandId& command() const noexcept { return command_; }                   ///< whose id was refused
    const StreamId& stream() const noexcept { return stream_; }                      ///< of the refused change
    const std::optional<StreamId>& stored_in() const noexcept { return stored_in_; } ///< may be the same stream

private:
    CommandId command_;
    StreamId stream_;
    std::optional<StreamId> stored_in_;
};

/// The requested aggregate has no events.
class ESCQRS_EXPORT AggregateNotFound : public Error {
public:
    explicit AggregateNotFound(StreamId stream)
        : Error{"no aggregate '" + stream.text() + "'"}, stream_{std::move(stream)}
    {
    }

    const StreamId& stream() const noexcept { return stream_; } ///< that has no events

private:
    StreamId stream_;
};

/// An event's name is not in the codec's list.
class ESCQRS_EXPORT UnknownEventType : public CodecError {
public:
    explicit UnknownEventType(std::string name)
        : CodecError{"unknown event type '" + name + "'"}, name_{std::move(name)}
    {
    }

    const std::string& name() const noexcept { return name_; } ///< of the event as stored

private:
    std::string name_;
};

/// An event was written by a newer program, in a schema version that this one does not read yet.
class ESCQRS_EXPORT NewerSchemaVersion : public CodecError {
public:
    NewerSchemaVersion(std::string name, unsigned found, unsigned known)
        : CodecError{"event '" + name + "' has schema version " + std::to_string(found) +
                     ", this program knows up to " + std::to_string(known)},
          name_{std::move(name)}, found_{found}, known_{known}
    {
    }

    const std::string& name() const noexcept { return name_; } ///< of the event as stored
    unsigned found() const noexcept { return found_; }         ///< version of the stored event
    unsigned known() const noexcept { return known_; }         ///< newest version that this program reads

private:
    std::string name_;
    unsigned found_;
    unsigned known_;
};

/// A stored event cannot be decoded or applied, by an aggregate or a projection. The cause is nested.
class ESCQRS_EXPORT HydrationError : public Error {
public:
    HydrationError(StreamId stream, StreamVersion version, GlobalPosition position, const std::string& cause)
        : Error{"cannot rebuild '" + stream.text() + "' from event version " + std::to_string(version.value()) +
                " at position " + std::to_string(position.value()) + ": " + cause},
          stream_{std::move(stream)}, version_{version}, position_{position}
    {
    }

    const StreamId& stream() const noexcept { return stream_; }    ///< of the event that failed
    StreamVersion version() const noexcept { return version_; }    ///< of that event
    GlobalPosition position() const noexcept { return position_; } ///< of that event

private:
    StreamId stream_;
    StreamVersion version_;
    GlobalPosition position_;
};

/// A command was sent that has no handler.
class ESCQRS_EXPORT HandlerNotFound : public Error {
public:
    explicit HandlerNotFound(const std::string& command) : Error{"no handler is registered for command " + command} {}
};

/// A second handler was registered for one command.
class ESCQRS_EXPORT DuplicateHandler : public Error {
public:
    explicit DuplicateHandler(const std::string& command)
        : Error{"command " + command + " already has a handler; a command has exactly one"}
    {
    }
};

/// A command was not begun, because its deadline had passed.
class ESCQRS_EXPORT CommandDeadlineExceeded : public Error {
public:
    explicit CommandDeadlineExceeded(const std::string& command)
        : Error{"command " + command + " was not begun: its deadline had passed"}
    {
    }
};

/// A command was not begun, because its sender had requested a stop.
class ESCQRS_EXPORT CommandCancelled : public Error {
public:
    explicit CommandCancelled(const std::string& command)
        : Error{"command " + command + " was not begun: a stop was requested"}
    {
    }
    /// After a conflict.
    explicit CommandCancelled(const StreamId& stream)
        : Error{"the change of '" + stream.text() + "' was not tried again after a conflict: a stop was requested"}
    {
    }

    FailureKind failure_kind() const noexcept override { return FailureKind::interrupted; }
};

/// A command is not valid, so it was not begun. Holds every problem, in words.
class ESCQRS_EXPORT InvalidCommand : public Error {
public:
    InvalidCommand(const std::string& command, std::vector<std::string> problems)
        : Error{"command " + command + " is not valid: " + join(problems)}, problems_{std::move(problems)}
    {
    }

    const std::vector<std::string>& problems() const noexcept { return problems_; } ///< in words

private:
    static std::string join(const std::vector<std::string>& problems)
    {
        std::string text;
        for (const auto& problem : problems) text.append(text.empty() ? "" : "; ").append(problem);
        return text;
    }

    std::vector<std::string> problems_;
};

/// Some subscribers of an event failed; the others received it. Holds every failure, in order of subscription.
class ESCQRS_EXPORT EventDispatchError : public Error {
public:
    EventDispatchError(const std::string& text, std::vector<std::exception_ptr> failures)
        : Error{text}, failures_{std::move(failures)}
    {
    }

    const std::vector<std::exception_ptr>& failures() const noexcept { return failures_; } ///< in order of subscription

    /// That of the first failure that is not the event's own fault, if there is one.
    FailureKind failure_kind() const noexcept override;

private:
    std::vector<std::exception_ptr> failures_;
};

inline FailureKind EventDispatchError::failure_kind() const noexcept
{
    for (const std::exception_ptr& failure : failures_) {
        try {
            std::rethrow_exception(failure);
        } catch (const std::exception& error) {
            if (const FailureKind kind = classify(error); kind != FailureKind::refused) return kind;
        } catch (...) { // NOLINT(bugprone-empty-catch): nothing is known about it
        }
    }
    return FailureKind::refused;
}

/// A newer version of a read model has taken the place of this one, whose tables are gone. Trying again is of no use.
class ESCQRS_EXPORT ReadModelSuperseded : public Error {
public:
    using Error::Error;

    FailureKind failure_kind() const noexcept override { return FailureKind::broken; }
};

/// A checkpoint was not made from the log that is read, or that log no longer holds what was read: it is older, a
/// restored backup for instance. Reading on would miss events. Trying again is of no use.
class ESCQRS_EXPORT LogMismatch : public Error {
public:
    LogMismatch(const std::string& text, const Bookmark& checkpoint, LogId log, GlobalPosition head)
        : Error{text}, checkpoint_{checkpoint}, log_{log}, head_{head}
    {
    }

    const Bookmark& checkpoint() const noexcept { return checkpoint_; } ///< how far which log was read
    LogId log() const noexcept { return log_; }                         ///< the one found
    GlobalPosition head() const noexcept { return head_; }              ///< where that one ends

    FailureKind failure_kind() const noexcept override { return FailureKind::broken; }

private:
    Bookmark checkpoint_;
    LogId log_;
    GlobalPosition head_;
};

/// A store could not do its work: file missing, foreign or newer, disk full, database gone.
class ESCQRS_EXPORT StoreError : public Error {
public:
    using Error::Error;

    FailureKind failure_kind() const noexcept override { return FailureKind::unavailable; }
};

/// An option has a value that nothing can work with. Thrown by the constructors that take options.
class ESCQRS_EXPORT InvalidOption : public StoreError {
public:
    InvalidOption(std::string_view option, const std::string& expected, const std::string& found)
        : StoreError{"option " + std::string{option} + ": expected " + expected + ", found " + found}, option_{option}
    {
    }

    const std::string& option() const noexcept { return option_; } ///< its name

    FailureKind failure_kind() const noexcept override { return FailureKind::refused; }

private:
    std::string option_;
};

/// A queue or broker could not do its work.
class ESCQRS_EXPORT TransportError : public Error {
public:
    using Error::Error;

    FailureKind failure_kind() const noexcept override { return FailureKind::unavailable; }
};

/// A queue will never take this message: what is wrong with it stays wrong, however often it is sent.
class ESCQRS_EXPORT MessageRefused : public TransportError {
public:
    MessageRefused(std::string message_id, const std::string& text)
        : TransportError{text}, message_id_{std::move(message_id)}
    {
    }

    const std::string& message_id() const noexcept { return message_id_; } ///< of the refused message

    FailureKind failure_kind() const noexcept override { return FailureKind::refused; }

private:
    std::string message_id_;
};

/// The lock of a received message ran out or was given back; its present holder decides about the message.
class ESCQRS_EXPORT MessageLockLost : public TransportError {
public:
    using TransportError::TransportError;
};

} // namespace escqrs::inline v0
