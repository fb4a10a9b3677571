// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../domain/events.hpp"
#include "database.hpp"

#include <escqrs/core/error.hpp>
#include <escqrs/events/event_bus.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace conference {

/// An event does not fit what the read model shows.
class ProjectionError : public escqrs::Error {
public:
    using Error::Error;
};

/// Keeps the read model: subscribes to the attendee events on a bus and writes what they tell.
///
/// It begins and commits nothing: the publisher does so inside a transaction on the same database, checks there by
/// stream version that an event is neither a repeat nor early, and rolls back if publishing fails.
///
/// A registration and a request to change the email each leave a row in `outgoing_mail`, in that same transaction, so
/// the mail is owed exactly if the event was handled. A replayed event owes none: its mail stays as it is, or is noted
/// as given up, so that a link in it still works. A later event gives up the unsent mails that it makes useless: a
/// request an earlier request, a confirmation and the end of the registration all.
/// @par Thread safety  none: events are published by the thread that uses the database
class AttendeeProjection {
public:
    /// @param bus, database  must outlive the projection; the database is the read model
    AttendeeProjection(escqrs::EventBus& bus, const read_model::DatabaseRef& database);

    AttendeeProjection(const AttendeeProjection&) = delete;
    AttendeeProjection& operator=(const AttendeeProjection&) = delete;

private:
    using Context = escqrs::EventContext;

    template <class Event>
    void subscribe(escqrs::EventBus& bus);

    void on(const AttendeeRegistered& event, const Context& context);
    void on(const EmailChangeRequested& event, const Context& context);
    void on(const EmailChangeConfirmed& event, const Context& context);
    void on(const AttendeeUnregistered& event, const Context& context);

    void owe_mail(const std::string& id, const std::string& recipient, const std::string& confirmation,
                  const Context& context);
    void drop_mails(const std::string& id, const Context& context);
    void touch(const std::string& id, const Context& context);
    void advance(const Context& context);

    read_model::Statement insert_;
    read_model::Statement request_email_;
    read_model::Statement confirm_email_;
    read_model::Statement unregister_;
    read_model::Statement touch_;
    read_model::Statement owe_mail_;
    read_model::Statement note_mail_;
    read_model::Statement drop_requests_;
    read_model::Statement drop_older_requests_;
    read_model::Statement drop_mails_;
    read_model::Statement drop_older_mails_;
    read_model::Statement advance_;
    std::vector<escqrs::EventBus::Connection> connections_; ///< last: they end before what they use
};

} // namespace conference
