// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/projections/parking_lot.hpp>
#include <escqrs/sqlite/database.hpp>

#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace escqrs::sqlite {

/// Parked streams, kept in the read model's database: they change in one transaction with it and with its checkpoint.
/// @par Thread safety  as its database: one thread at a time
class ParkingLot {
public:
    /// Creates its table if there is none.
    /// @param database    must outlive this; the one of the projection's checkpoint
    /// @param projection  tells this projection's streams from those of others
    ParkingLot(Database& database, std::string projection) : database_{&database}, projection_{std::move(projection)} {}

    bool is_empty()
    {
        return !any_.query(projection_).next() &&
               (!any_before_ || !any_before_->query(read_model_, projection_).next());
    }

    std::optional<ParkedStream> find(const StreamId& stream)
    {
        {
            auto rows = select_.query(projection_, stream.text());
            if (rows.next()) return read(rows);
        }
        if (!select_before_) return std::nullopt;
        auto rows = select_before_->query(read_model_, projection_, stream.text());
        if (!rows.next()) return std::nullopt;
        return read(rows);
    }

    std::vector<ParkedStream> all()
    {
        std::vector<ParkedStream> all;
        auto rows = select_all_.query(projection_);
        while (rows.next()) all.push_back(read(rows));
        return all;
    }

    void put(const ParkedStream& parked)
    {
        upsert_.run(projection_, parked.stream.text(), parked.version.value(), parked.position.value(),
                    parked.last.value(), parked.events, parked.error, parked.unhandled_from.value());
    }

    void remove(const StreamId& stream) { delete_.run(projection_, stream.text()); }

    template <class Work>
    void attempt(Work&& work)
    {
        Savepoint part{*database_};
        work();
        part.commit();
    }

    /// Whether a failure is not the event's own (`classify`), or has undone the whole transaction.
    bool is_passing(const std::exception& error) const noexcept
    {
        return !database_->in_transaction() || is_passing_fault(error);
    }

private:
    friend class ReadModel;

    /// Of one version of a read model. While that is not live, `find` also tells which events the live version has parked
    /// without ever having handled them: they are not to be handled here before that one has given way.
    ParkingLot(Database& database, std::string projection, std::string read_model)
        : database_{&database}, projection_{std::move(projection)}, read_model_{std::move(read_model)},
          any_before_{std::in_place, database, std::string{"SELECT 1"} + before + " LIMIT 1"},
          select_before_{
              std::in_place, database,
              std::string{"SELECT stream, 0, 0, 0, 0, 'parked in the version before: ' || error, unhandled_from"} +
                  before + " AND stream = ?"}
    {
    }

    static constexpr const char* before =
        " FROM escqrs_parked_streams WHERE projection = (SELECT name || '_v' || version "
        "FROM escqrs_read_models WHERE name = ? AND is_live) AND projection <> ? AND "
        "unhandled_from > 0";

    static Database& with_table(Database& database)
    {
        database.execute("CREATE TABLE IF NOT EXISTS escqrs_parked_streams (projection TEXT NOT NULL, stream TEXT NOT "
                         "NULL, version INTEGER NOT NULL, position INTEGER NOT NULL, last INTEGER NOT NULL, events "
                         "INTEGER NOT NULL, error TEXT NOT NULL, unhandled_from INTEGER NOT NULL, "
                         "PRIMARY KEY (projection, stream)) WITHOUT ROWID");
        return database;
    }

    static ParkedStream read(const Rows& rows)
    {
        const auto number = [&](int column) { return static_cast<std::uint64_t>(rows.integer(column)); };
        return {StreamId::parse(rows.text(0)),
                StreamVersion{number(1)},
                GlobalPosition{number(2)},
                StreamVersion{number(3)},
                number(4),
                std::string{rows.text(5)},
                StreamVersion{number(6)}};
    }

    Database* database_;
    std::string projection_;
    std::string read_model_; ///< empty: of none
    Statement any_{with_table(*database_), "SELECT 1 FROM escqrs_parked_streams WHERE projection = ? LIMIT 1"};
    Statement select_{*database_, "SELECT stream, version, position, last, events, error, unhandled_from "
                                  "FROM escqrs_parked_streams WHERE projection = ? AND stream = ?"};
    Statement select_all_{*database_, "SELECT stream, version, position, last, events, error, unhandled_from "
                                      "FROM escqrs_parked_streams WHERE projection = ? ORDER BY stream"};
    Statement upsert_{*database_,
                      "INSERT OR REPLACE INTO escqrs_parked_streams (projection, stream, version, position, "
                      "last, events, error, unhandled_from) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"};
    Statement delete_{*database_, "DELETE FROM escqrs_parked_streams WHERE projection = ? AND stream = ?"};
    std::optional<Statement> any_before_;
    std::optional<Statement> select_before_;
};

static_assert(escqrs::ParkingLot<ParkingLot>);

} // namespace escqrs::sqlite
