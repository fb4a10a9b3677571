// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/postgres/schema.hpp>

namespace conference {

/// Tables of the read model in a PostgreSQL database; those of an SQLite file are `read_model_schema`.
extern const escqrs::postgres::SchemaPart read_model_tables;

} // namespace conference
