// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// Names of the library, for headers that only pass them along. Templates whose parameters are constrained by a concept,
// such as Repository, are not here: they cannot be declared without the concept.
namespace escqrs {

template <class Tag>
class Id;
using EventId = Id<struct EventIdTag>;
using CommandId = Id<struct CommandIdTag>;
using CorrelationId = Id<struct CorrelationIdTag>;
using CausationId = Id<struct CausationIdTag>;
using LogId = Id<struct LogIdTag>;

class StreamId;
class StreamVersion;
class GlobalPosition;
class ExpectedVersion;
struct Metadata;
struct EventContext;
class Clock;

template <class Derived, class... Events>
class AggregateRoot;
class Access;
template <class D>
class Decided;
template <class... Parts>
struct Compose;
template <class... Events>
struct EventList;
template <class Event>
struct NoStateChange;
template <class T>
class Field;

struct NewEvent;
struct RecordedEvent;
struct Snapshot;
class SnapshotPolicy;
struct AppendResult;
struct EventLocation;
struct EventFilter;
class AnyEventStore;
template <class Signature>
class FunctionRef;

template <class List, class Format, class... OtherFormats>
class Codec;
template <class List, class... Rules>
struct Evolution;
template <class List, class StoredFormat, class WireFormat>
class CloudEvents;
struct EncodedEvent;

struct Bookmark;
struct SubscriptionOptions;
struct ParkedStream;

struct CommitResult;
class CommandBus;
class CommandInfo;
struct CommandContext;
struct SendOptions;
class NextHandler;
class EventBus;
class SnapshotEventBus;
struct PublishedEvent;

class MessageProperties;
struct Message;
struct ReceivedMessage;
struct DeadLetteredMessage;

class Error;
class InvalidIdentifier;
class ConcurrencyError;
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
class MessageLockLost;

} // namespace escqrs
