// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

namespace escqrs::inline v0 {

template <class Tag>
class Id;
template <class Tag>
class TextId;
/// Identifies a stored event; unique in its log.
using EventId = Id<struct EventIdTag>;
/// Identifies a command, so that a store recognises it when it is repeated.
using CommandId = Id<struct CommandIdTag>;
/// Shared by all that results from one request.
using CorrelationId = Id<struct CorrelationIdTag>;
/// Identifies the message that led directly to an event.
using CausationId = Id<struct CausationIdTag>;
/// Identifies an event log; drawn when the store is created.
using LogId = Id<struct LogIdTag>;

class StreamId;
class StreamVersion;
class GlobalPosition;
class ExpectedVersion;
struct Bookmark;
struct Metadata;
struct EventContext;
struct TraceContext;
class Clock;
struct RetryPolicy;
class Backoff;
template <class Signature>
class FunctionRef;

class Error;
class InvalidIdentifier;
class ConcurrencyError;
class PreconditionFailed;
class DuplicateEventId;
class CommandIdRefused;
class AggregateNotFound;
class CodecError;
class UnknownEventType;
class NewerSchemaVersion;
class HydrationError;
class HandlerNotFound;
class DuplicateHandler;
class CommandDeadlineExceeded;
class CommandCancelled;
class InvalidCommand;
class EventDispatchError;
class ReadModelSuperseded;
class LogMismatch;
class StoreError;
class InvalidOption;
class TransportError;
class MessageRefused;
class MessageLockLost;

} // namespace escqrs::inline v0
