// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// What the tests of projections/sql need to know of SQLite.
#pragma once

#include <escqrs/sqlite/checkpoint.hpp>
#include <escqrs/sqlite/parking_lot.hpp>
#include <escqrs/sqlite/read_model.hpp>

#include "support/temporary_folder.hpp"

#include <string>
#include <string_view>
#include <utility>

namespace read_side {

using Dialect = escqrs::sqlite::Dialect;
using escqrs::sqlite::Checkpoint;
using escqrs::sqlite::LiveReadModel;
using escqrs::sqlite::ParkingLot;
using escqrs::sqlite::ReadModel;
using escqrs::sqlite::StreamCheckpoint;

inline constexpr const char* constraint_text = "CHECK constraint failed";

/// A read model's own file.
class Place {
public:
    Dialect::Database connect() const { return Dialect::Database{folder_.file("model.db")}; }
    Dialect::Place where() const { return {}; }

    /// SQL in which `{s}.` stands before the name of each of the read model's own tables.
    std::string sql(std::string text) const { return without_places(std::move(text)); }

    /// The same, as a `ReadModel` takes it.
    static std::string model_sql(std::string text) { return without_places(std::move(text)); }

private:
    static std::string without_places(std::string text)
    {
        constexpr std::string_view mark = "{s}.";
        for (std::size_t found = 0; (found = text.find(mark)) != std::string::npos;) text.erase(found, mark.size());
        return text;
    }

    TemporaryFolder folder_;
};

inline std::int64_t count_tables_of_version_1(Dialect::Database& database, const Place&)
{
    return database.query_integer("SELECT count(*) FROM sqlite_schema WHERE name LIKE '%\\_v1' ESCAPE '\\'");
}

/// As the database reports that its disk is full.
inline escqrs::sqlite::DatabaseError full_disk() { return {"model.db", "write", SQLITE_FULL, "disk full"}; }

} // namespace read_side
