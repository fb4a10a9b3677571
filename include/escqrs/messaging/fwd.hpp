// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

namespace escqrs::inline v0 {

class MessageProperties;
struct Message;
struct ReceivedMessage;
struct DeadLetteredMessage;
struct Settlement;
struct MessageQueueOptions;
class AnyMessageReceiver;
class AnyMessageQueue;
class MessageProcessor;
struct MessageProcessorOptions;
struct BatchResult;
template <class List, class StoredFormat, class WireFormat>
class CloudEvents;

} // namespace escqrs::inline v0
