// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "attendee_handlers.hpp"

#include <utility>

namespace conference {

void handle_attendee_commands(escqrs::CommandBus& bus, const AttendeeRepository& attendees,
                              escqrs::IdGenerator confirmation_ids)
{
    using escqrs::Metadata;
    using escqrs::on;
    bus.handle(on<RegisterAttendee>([&attendees](const RegisterAttendee& command, const Metadata& metadata) {
                   auto attendee = Attendee::register_with(command.attendee_id, Email::parse(command.email));
                   try {
                       return attendees.save(attendee, metadata);
                   } catch (const escqrs::ConcurrencyError&) {
                       throw AttendeeIdTaken{command.attendee_id};
                   }
               }),
               on<ChangeEmail>([&attendees, ids = std::move(confirmation_ids)](const ChangeEmail& command,
                                                                               const Metadata& metadata) {
                   const auto email = Email::parse(command.email);
                   return attendees.execute(
                       command.attendee_id,
                       [&](Attendee& attendee) { attendee.change_email(email, ConfirmationId{ids()}); }, metadata);
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
