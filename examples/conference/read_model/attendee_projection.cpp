// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "attendee_projection.hpp"

#include "../domain/attendee.hpp"
#include "mailbox.hpp"

#include <escqrs/core/id_generator.hpp>

#include <limits>
#include <string>
#include <string_view>

namespace conference {
namespace {

/// Gives up unsent mails of an attendee, $2, at the time $1.
std::string drop_unsent(const std::string& condition = {})
{
    return "UPDATE outgoing_mail SET given_up_at = $1, last_error = NULL"
           " WHERE attendee_id = $2 AND sent_at IS NULL AND given_up_at IS NULL " +
           condition;
}

/// Text of the id of the attendee whose stream the event is in.
std::string attendee_of(const escqrs::EventContext& context)
{
    if (context.stream.category() != Attendee::category) {
        throw ProjectionError{"stream '" + context.stream.text() + "' is not an attendee's"};
    }
    return to_string(AttendeeId::parse(context.stream.id()));
}

/// Stands for the mail that an event owes: the event's id, and other ones if several events were made of one.
escqrs::EventId mail_id(const escqrs::EventContext& context)
{
    if (context.part == 0) return context.id;
    return escqrs::EventId{escqrs::name_based_uuid(context.id.value(), std::to_string(context.part))};
}

void require_known(int rows_changed, const escqrs::EventContext& context)
{
    if (rows_changed == 1) return;
    throw ProjectionError{"the read model has no attendee '" + context.stream.text() + "' to change"};
}

} // namespace

AttendeeProjection::AttendeeProjection(escqrs::EventBus& bus, const read_model::DatabaseRef& database)
    : insert_{database, "INSERT INTO attendee (id, registered, email, version, position, registered_at, updated_at,"
                        " list_position, revision) VALUES ($1, 1, $2, $3, $4, $5, $5, $4,"
                        " (SELECT revision FROM progress)) ON CONFLICT DO NOTHING"},
      request_email_{database, "UPDATE attendee SET pending_email = $1 WHERE id = $2"},
      confirm_email_{database, "UPDATE attendee SET email = $1, pending_email = NULL WHERE id = $2"},
      unregister_{database, "UPDATE attendee SET registered = 0, reason = $1 WHERE id = $2"},
      touch_{database, "UPDATE attendee SET version = $1, position = $2, updated_at = $3,"
                       " revision = (SELECT revision FROM progress) WHERE id = $4"},
      owe_mail_{database, "INSERT INTO outgoing_mail (event_id, recipient, mailbox, attendee_id, confirmation_id,"
                          " created_at, earlier) VALUES ($1, $2, $3, $4, $5, $6, (SELECT count(*) FROM outgoing_mail"
                          " WHERE attendee_id = $4 AND begun_at IS NOT NULL AND mailbox = $3)) ON CONFLICT DO NOTHING"},
      note_mail_{database, "INSERT INTO outgoing_mail (event_id, recipient, mailbox, attendee_id, confirmation_id,"
                           " created_at, given_up_at) VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT DO NOTHING"},
      drop_requests_{database, drop_unsent("AND event_id <> $3 AND confirmation_id <> ''")},
      drop_older_requests_{database, drop_unsent("AND event_id <> $3 AND confirmation_id <> '' AND created_at <= $1")},
      drop_mails_{database, drop_unsent()}, drop_older_mails_{database, drop_unsent("AND created_at <= $1")},
      advance_{database, "UPDATE progress SET revision = revision + 1,"
                         " position = CASE WHEN position < $1 THEN $1 ELSE position END WHERE only_row = 1"}
{
    subscribe<AttendeeRegistered>(bus);
    subscribe<EmailChangeRequested>(bus);
    subscribe<EmailChangeConfirmed>(bus);
    subscribe<AttendeeUnregistered>(bus);
}

template <class Event>
void AttendeeProjection::subscribe(escqrs::EventBus& bus)
{
    connections_.push_back(
        bus.subscribe<Event>([this](const Event& event, const Context& context) { on(event, context); }));
}

/// Begins the next revision, which what follows is part of. (RETURNING would cost SQLite more than all the rest: it makes a
/// table for what is returned. That the one row is named saves a third: SQLite prepares to undo what may change many.)
void AttendeeProjection::advance(const Context& context)
{
    constexpr auto highest = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (context.position.value() > highest || context.version.value() > highest) {
        throw ProjectionError{"event " + to_string(context.id) +
                              ": its position or version is beyond what can be stored"};
    }
    advance_.run(context.position.value());
}

void AttendeeProjection::on(const AttendeeRegistered& event, const Context& context)
{
    const std::string id = attendee_of(context);
    advance(context);
    const int inserted =
        insert_.run(id, event.email, context.version.value(), context.position.value(), context.recorded_at);
    if (inserted != 1) throw ProjectionError{"attendee " + id + " is in the read model already"};
    owe_mail(id, event.email, {}, context);
}

void AttendeeProjection::on(const EmailChangeRequested& event, const Context& context)
{
    const std::string id = attendee_of(context);
    require_known(request_email_.run(event.email, id), context);
    touch(id, context);
    (context.is_replay ? drop_older_requests_ : drop_requests_)
        .run(context.recorded_at, id, to_string(mail_id(context)));
    owe_mail(id, event.email, to_string(event.confirmation_id), context);
}

void AttendeeProjection::on(const EmailChangeConfirmed& event, const Context& context)
{
    const std::string id = attendee_of(context);
    require_known(confirm_email_.run(event.email, id), context);
    touch(id, context);
    drop_mails(id, context);
}

void AttendeeProjection::on(const AttendeeUnregistered& event, const Context& context)
{
    const std::string id = attendee_of(context);
    require_known(unregister_.run(event.reason, id), context);
    touch(id, context);
    drop_mails(id, context);
}

/// @param confirmation  empty in the mail that brings the key to a new registration
void AttendeeProjection::owe_mail(const std::string& id, const std::string& recipient, const std::string& confirmation,
                                  const Context& context)
{
    (context.is_replay ? note_mail_ : owe_mail_)
        .run(to_string(mail_id(context)), recipient, mailbox_of(recipient), id, confirmation, context.recorded_at);
}

/// Gives up the attendee's unsent mails: they would confirm nothing, or go to an address that is not theirs any more. If the
/// event is replayed, mails that are owed for later ones wait already.
void AttendeeProjection::drop_mails(const std::string& id, const Context& context)
{
    (context.is_replay ? drop_older_mails_ : drop_mails_).run(context.recorded_at, id);
}

void AttendeeProjection::touch(const std::string& id, const Context& context)
{
    advance(context);
    touch_.run(context.version.value(), context.position.value(), context.recorded_at, id);
}

} // namespace conference
