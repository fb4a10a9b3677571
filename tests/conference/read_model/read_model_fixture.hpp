// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "read_model/attendee_projection.hpp"
#include "read_model/attendee_queries.hpp"
#include "read_model/read_model_file.hpp"
#include "support/temporary_folder.hpp"

#include <escqrs/core/id_generator.hpp>
#include <escqrs/events/event_bus.hpp>
#include <escqrs/sqlite/database.hpp>

#include <cstdint>
#include <string>

namespace conference::test {

inline AttendeeId new_attendee_id() { return AttendeeId{escqrs::random_uuid()}; }

/// A moment that tells its number.
inline escqrs::Timestamp moment(std::uint64_t number)
{
    return escqrs::Timestamp{std::chrono::sys_days{std::chrono::year{2026} / 11 / 23}} +
           std::chrono::seconds{static_cast<std::int64_t>(number)};
}

/// Publishes events as the worker does: each in its own transaction, one after the other in the log.
class Publisher {
public:
    explicit Publisher(const std::string& path) : database{path, read_model_schema} {}

    template <class Event>
    escqrs::EventContext publish(const AttendeeId& id, std::uint64_t version, const Event& event,
                                 bool is_replay = false)
    {
        escqrs::EventContext context{.stream = {Attendee::category, id.value()},
                                     .version = escqrs::StreamVersion{version},
                                     .position = escqrs::GlobalPosition{++position},
                                     .id = escqrs::EventId{escqrs::random_uuid()},
                                     .recorded_at = moment(position)};
        context.is_replay = is_replay;
        escqrs::sqlite::Transaction transaction{database};
        bus.publish(event, context);
        transaction.commit();
        return context;
    }

    escqrs::sqlite::Database database;
    escqrs::EventBus bus;
    AttendeeProjection projection{bus, database};
    std::uint64_t position = 0;
};

} // namespace conference::test
