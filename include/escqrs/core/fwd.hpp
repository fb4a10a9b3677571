// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

namespace escqrs::inline v0 {

template <class Tag>
class Id;
template <class Tag>
class TextId;
using EventId = Id<struct EventIdTag>;
using CommandId = Id<struct CommandIdTag>;
using CorrelationId = Id<struct CorrelationIdTag>;
using CausationId = Id<struct CausationIdTag>;
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
