// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

namespace escqrs {

struct SubscriptionOptions;
struct ParkedStream;
class StreamParked;
struct ReadModelSchema;

} // namespace escqrs
