// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// What the tests of projections/sql need to know of PostgreSQL.
#pragma once

#include <escqrs/postgres/checkpoint.hpp>
#include <escqrs/postgres/parking_lot.hpp>
#include <escqrs/postgres/read_model.hpp>

#include "postgres/server.hpp"

#include <string>
#include <string_view>

namespace read_side {

using Dialect = escqrs::postgres::Dialect;
using escqrs::postgres::Checkpoint;
using escqrs::postgres::LiveReadModel;
using escqrs::postgres::ParkingLot;
using escqrs::postgres::ReadModel;
using escqrs::postgres::StreamCheckpoint;

inline constexpr const char* constraint_text = "check constraint";

/// A schema of the shared server.
class Place {
public:
    Place() { connect().execute(sql("CREATE SCHEMA {s}")); }

    Dialect::Database connect() const { return Dialect::Database{postgres_test::Server::shared().address()}; }
    const std::string& where() const noexcept { return schema_; }

    /// SQL in which `{s}.` stands before the name of each of the read model's own tables.
    std::string sql(std::string_view text) const { return escqrs::postgres::with_schema(text, schema_); }

    /// The same, as a `ReadModel` takes it.
    static std::string model_sql(std::string text) { return text; }

private:
    std::string schema_ = postgres_test::Server::shared().new_schema();
};

inline std::int64_t count_tables_of_version_1(Dialect::Database& connection, const Place& place)
{
    escqrs::postgres::Statement select{
        connection,
        place.sql("SELECT count(*) FROM pg_class WHERE relnamespace = '{s}'::regnamespace AND relname LIKE '%\\_v1'")};
    auto rows = select.query();
    return rows.next() ? rows.integer(0) : -1;
}

/// As the server reports that its disk is full.
inline escqrs::postgres::DatabaseError full_disk() { return {"model", "write", "disk full", "53100"}; }

} // namespace read_side
