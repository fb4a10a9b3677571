// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "attendee_handlers.hpp"

#include "email_changes.hpp"

#include <chrono>
#include <utility>
#include <vector>

namespace conference {
namespace {

constexpr std::chrono::hours repeat_after{1};

/// Whether the address that waits to be confirmed was asked for so lately that its mail may still be on the way.
bool is_just_asked_for(const std::vector<EmailChange>& changes, escqrs::Timestamp now)
{
    return !changes.empty() && now < changes.back().requested_at + repeat_after;
}

} // namespace

void handle_attendee_commands(escqrs::CommandBus& bus, const AttendeeRepository& attendees,
                              escqrs::AnyEventStore& store, escqrs::IdGenerator confirmation_ids, escqrs::Clock& clock)
{
    using escqrs::Metadata;
    using escqrs::on;
    bus.handle(on<RegisterAttendee>([&attendees](const RegisterAttendee& command, const Metadata& metadata) {
                   auto attendee = Attendee::register_with(command.attendee_id, Email::parse(command.email));
                   try {
                       return attendees.save(attendee, metadata);
                   } catch (const escqrs::ConcurrencyError&) {
                       throw AttendeeIdTaken{command.attendee_id};
                   } catch (const escqrs::CommandIdRefused&) {
                       // Another process has carried it out meanwhile, and has drawn another id.
                       auto first = attendees.find_commit(metadata.command_id);
                       if (!first) throw;
                       first->repeated = true;
                       return *std::move(first);
                   }
               }),
               on<ChangeEmail>([&attendees, &store, &clock, ids = std::move(confirmation_ids)](
                                   const ChangeEmail& command, const Metadata& metadata) {
                   const auto email = Email::parse(command.email);
                   return attendees.execute(
                       command.attendee_id,
                       [&](Attendee& attendee) { // read anew in each attempt, for others may ask for the same
                           if (attendee.is_pending(email) &&
                               is_just_asked_for(email_changes(store, attendee.id()), clock.now()))
                               return;
                           attendee.change_email(email, ConfirmationId{ids()});
                       },
                       metadata);
               }),
               on<ConfirmEmail>([&attendees](const ConfirmEmail& command, const Metadata& metadata) {
                   return attendees.execute(
                       command.attendee_id,
                       [&](Attendee& attendee) { attendee.confirm_email(command.confirmation_id); }, metadata);
               }),
               on<UnregisterAttendee>([&attendees](const UnregisterAttendee& command, const Metadata& metadata) {
                   return attendees.execute(
                       command.attendee_id, [&](Attendee& attendee) { attendee.unregister(command.reason); }, metadata);
               }));
}

} // namespace conference
