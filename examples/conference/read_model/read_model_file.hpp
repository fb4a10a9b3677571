// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "attendee_view.hpp"
#include "database.hpp"

#include <escqrs/sqlite/database.hpp>

#include <string_view>

// What is inside the read model's file; for the classes of this folder and the worker, which keeps its mails there.
namespace conference {

/// Tables of the read model. Every part that opens the file passes this, so the first one creates it.
extern const escqrs::sqlite::Schema read_model_schema;

/// Columns of `attendee` in the order in which `read_attendee` expects them.
inline constexpr std::string_view attendee_columns =
    "id, registered, email, pending_email, reason, version, position, registered_at, updated_at";

AttendeeView read_attendee(const read_model::Rows& row);

} // namespace conference
