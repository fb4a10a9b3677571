// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/projections/parking_lot.hpp>
#include <escqrs/projections/sql/dialect.hpp>

#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace escqrs::inline v0::sql {

/// Parked streams, kept in the read model's database: they change in one transaction with it and with its checkpoint.
/// @par Thread safety  as its database: one thread at a time
template <class Dialect>
class ParkingLot {
public:
    /// Creates its table if there is none.
    /// @param database    must outlive this; the one of the projection's checkpoint
    /// @param projection  distinguishes this projection's streams from those of others
    /// @param place       PostgreSQL: the schema
    ParkingLot(typename Dialect::Database& database, std::string projection, const typename Dialect::Place& place = {})
        : ParkingLot{{}, Dialect{database, place}, std::move(projection)}
    {
    }

    /// As `ParkedStreams` and `escqrs::ParkingLot` describe it.
    /// @{
    bool is_empty()
    {
        return !any_.query(projection_).next() &&
               (!any_before_ || !any_before_->query(read_model_, projection_).next());
    }

    std::optional<ParkedStream> find(const StreamId& stream)
    {
        auto rows = select_.query(projection_, stream.text());
        if (rows.next()) return read(rows);
        if (!select_before_) return std::nullopt;
        auto rows_before = select_before_->query(read_model_, projection_, stream.text());
        if (!rows_before.next()) return std::nullopt;
        return read(rows_before);
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
                    parked.last.value(), parked.events, dialect_.storable(parked.error), parked.unhandled_from.value());
    }

    void remove(const StreamId& stream) { delete_.run(projection_, stream.text()); }

    template <class Work>
    void attempt(Work&& work)
    {
        typename Dialect::Savepoint part{dialect_.database()};
        work();
        part.commit();
    }
    /// @}

    /// True if the event did not cause the failure (`classify`), or if it has undone the whole transaction.
    bool is_passing(const std::exception& error) const noexcept
    {
        return !dialect_.database().in_transaction() || is_passing_fault(error);
    }

private:
    template <class>
    friend class ReadModel;

    using Statement = typename Dialect::Statement;

    /// For one version of a read model. While that is not live, `find` also shows which events the live version has
    /// parked without ever having handled them: they must not be handled here before that version has been replaced.
    /// @param read_model  empty: of none
    ParkingLot(std::string read_model, const Dialect& dialect, std::string projection)
        : dialect_{dialect.with(Tables::parked_streams)}, projection_{std::move(projection)},
          read_model_{std::move(read_model)}
    {
        static_assert(sql::Dialect<Dialect>);
        if (read_model_.empty()) return;
        const std::string before = std::string{" FROM {s}.parked_streams WHERE projection = "} +
                                   detail::live_checkpoint + " AND projection <> $2 AND unhandled_from > 0";
        any_before_.emplace(sql::statement(dialect_, "SELECT 1" + before + " LIMIT 1"));
        select_before_.emplace(sql::statement(
            dialect_, "SELECT stream, 0, 0, 0, 0, 'parked in the version before: ' || error, unhandled_from" + before +
                          " AND stream = $3"));
    }

    Statement select(const char* condition) const
    {
        return sql::statement(dialect_,
                              std::string{"SELECT stream, version, position, last, events, error, unhandled_from "
                                          "FROM {s}.parked_streams WHERE projection = $1 "} +
                                  condition);
    }

    static ParkedStream read(const typename Dialect::Rows& rows)
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

    Dialect dialect_;
    std::string projection_;
    std::string read_model_;
    Statement any_{sql::statement(dialect_, "SELECT 1 FROM {s}.parked_streams WHERE projection = $1 LIMIT 1")};
    Statement select_{select("AND stream = $2")};
    Statement select_all_{select("ORDER BY stream")};
    Statement upsert_{sql::statement(
        dialect_, "INSERT INTO {s}.parked_streams VALUES ($1, $2, $3, $4, $5, $6, $7, $8) "
                  "ON CONFLICT (projection, stream) DO UPDATE SET version = excluded.version, position = "
                  "excluded.position, last = excluded.last, events = excluded.events, error = excluded.error, "
                  "unhandled_from = excluded.unhandled_from")};
    Statement delete_{sql::statement(dialect_, "DELETE FROM {s}.parked_streams WHERE projection = $1 AND stream = $2")};
    std::optional<Statement> any_before_;
    std::optional<Statement> select_before_;
};

} // namespace escqrs::inline v0::sql
