// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

namespace escqrs::inline v0 {

struct CommitResult;
class CommandBus;
class CommandInfo;
struct CommandContext;
struct SendOptions;
class NextHandler;
struct RepositoryOptions;
class SnapshotPolicy;

} // namespace escqrs::inline v0
