// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "read_model_schema.hpp"

#include <array>

namespace conference {
namespace {

// As in the SQLite file, but for the moments. Texts are sorted as bytes, as there.
constexpr std::array<const char*, 1> steps{R"sql(
        CREATE TABLE {s}.attendee (
            id            text COLLATE "C" PRIMARY KEY,
            registered    bigint NOT NULL,
            email         text NOT NULL,
            pending_email text,
            reason        text,
            version       bigint NOT NULL,
            position      bigint NOT NULL,
            registered_at timestamptz NOT NULL,
            updated_at    timestamptz NOT NULL,
            list_position bigint NOT NULL, -- log position of the registration
            revision      bigint NOT NULL  -- number of the last change: the newest change has the highest
        );
        CREATE UNIQUE INDEX attendee_by_registration ON {s}.attendee (list_position, id);
        CREATE INDEX attendee_by_revision ON {s}.attendee (revision);

        CREATE TABLE {s}.progress (
            only_row integer PRIMARY KEY CHECK (only_row = 1),
            revision bigint NOT NULL,
            position bigint NOT NULL -- of the newest event shown
        );
        INSERT INTO {s}.progress VALUES (1, 0, 0);

        CREATE TABLE {s}.outgoing_mail (
            event_id        text PRIMARY KEY, -- one mail for each event, however often it is delivered
            recipient       text NOT NULL,
            attendee_id     text NOT NULL,
            confirmation_id text NOT NULL,
            created_at      timestamptz NOT NULL,
            sent_at         timestamptz,
            attempts        bigint NOT NULL DEFAULT 0,           -- begun so far
            not_before      timestamptz NOT NULL DEFAULT 'epoch', -- nobody may begin the next attempt earlier
            last_error      text
        );
        CREATE INDEX unsent_mail ON {s}.outgoing_mail (not_before, created_at) WHERE sent_at IS NULL;
    )sql"};

} // namespace

const escqrs::postgres::SchemaPart read_model_tables{"conference read model", steps};

} // namespace conference
