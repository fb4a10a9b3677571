// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "attendee_events.hpp"
#include "commands.hpp"

#include <escqrs/commands/command_bus.hpp>
#include <escqrs/commands/repository.hpp>
#include <escqrs/core/clock.hpp>
#include <escqrs/core/error.hpp>
#include <escqrs/core/id_generator.hpp>

#include <cstddef>

namespace conference {

/// A registration asks for an attendee id that is in use.
class AttendeeIdTaken : public escqrs::Error {
public:
    explicit AttendeeIdTaken(const AttendeeId& id) : Error{"attendee id " + to_string(id) + " is already in use"} {}
};

using AttendeeRepository = escqrs::Repository<Attendee, escqrs::AnyEventStore, AttendeeCodec>;

/// For a repository whose conflicts are met again by the command bus, which knows the command's deadline. An event of
/// this domain has a few hundred bytes; the queue takes 256 KiB.
inline const escqrs::RepositoryOptions one_attempt{.retry = {1}, .max_event_size = std::size_t{64} * 1024};

/// The one handler of each attendee command.
///
/// A `ChangeEmail` to the address that waits to be confirmed stores nothing, so that no second mail is sent. After an
/// hour it is taken: the first mail may be lost.
/// @param attendees, store, clock  must outlive the bus; the store is that of the attendees
/// @param confirmation_ids         must draw ids that cannot be guessed
void handle_attendee_commands(escqrs::CommandBus& bus, const AttendeeRepository& attendees,
                              escqrs::AnyEventStore& store, escqrs::IdGenerator confirmation_ids = escqrs::random_uuid,
                              escqrs::Clock& clock = escqrs::system_clock());

} // namespace conference
