// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

namespace escqrs::inline v0::testing {

template <class... Commands>
class CommandRecorder;
class ExpectationFailed;
class GoldenFolder;
class ManualClock;
struct RecordedCommand;
class SequentialIds;
struct Specification;

} // namespace escqrs::inline v0::testing
