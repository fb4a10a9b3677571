// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/text.hpp>
#include <escqrs/postgres/connection.hpp>
#include <escqrs/postgres/read_model_schema.hpp>
#include <escqrs/postgres/statement.hpp>
#include <escqrs/projections/parking_lot.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace escqrs::postgres {

/// Parked streams, kept in the read model's database: they change in one transaction with it and with its checkpoint.
/// @par Thread safety  as its connection: one thread at a time
class ParkingLot {
public:
    /// Creates its table if there is none.
    /// @param connection  must outlive this; the one of the projection's checkpoint
    /// @param projection  tells this projection's streams from those of others
    ParkingLot(Connection& connection, std::string projection, const std::string& schema = "escqrs")
        : ParkingLot{connection, std::move(projection), schema, {}}
    {
    }

    bool is_empty()
    {
        return any_.query(projection_).size() == 0 &&
               (!any_before_ || any_before_->query(read_model_, projection_).size() == 0);
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
                    parked.last.value(), parked.events, storable(parked.error), parked.unhandled_from.value());
    }

    void remove(const StreamId& stream) { delete_.run(projection_, stream.text()); }

    template <class Work>
    void attempt(Work&& work)
    {
        Savepoint part{*connection_};
        work();
        part.commit();
    }

    /// Whether a failure is not the event's own (`classify`), or has undone the whole transaction.
    bool is_passing(const std::exception& error) const noexcept
    {
        return !connection_->in_transaction() || is_passing_fault(error);
    }

private:
    friend class ReadModel;

    /// Of one version of a read model. While that is not live, `find` also tells which events the live version has parked
    /// without ever having handled them: they are not to be handled here before that one has given way.
    ParkingLot(Connection& connection, std::string projection, const std::string& schema, std::string read_model)
        : connection_{&detail::with_read_models(connection, schema)}, projection_{std::move(projection)},
          any_{connection, with_schema("SELECT 1 FROM {s}.parked_streams WHERE projection = $1 LIMIT 1", schema)},
          select_{connection, with_schema(std::string{columns} + " AND stream = $2", schema)},
          select_all_{connection, with_schema(std::string{columns} + " ORDER BY stream", schema)},
          upsert_{
              connection,
              with_schema("INSERT INTO {s}.parked_streams VALUES ($1, $2, $3, $4, $5, $6, $7, $8) "
                          "ON CONFLICT (projection, stream) DO UPDATE SET version = excluded.version, position = "
                          "excluded.position, last = excluded.last, events = excluded.events, error = excluded.error, "
                          "unhandled_from = excluded.unhandled_from",
                          schema)},
          delete_{connection,
                  with_schema("DELETE FROM {s}.parked_streams WHERE projection = $1 AND stream = $2", schema)},
          read_model_{std::move(read_model)}
    {
        if (read_model_.empty()) return;
        any_before_.emplace(connection, with_schema(std::string{"SELECT 1"} + before + " LIMIT 1", schema));
        select_before_.emplace(connection,
                               with_schema(std::string{"SELECT stream, 0, 0, 0, 0, 'parked in the version before: ' || "
                                                       "error, unhandled_from"} +
                                               before + " AND stream = $3",
                                           schema));
    }

    static constexpr const char* before =
        " FROM {s}.parked_streams WHERE projection = (SELECT name || '_v' || version::text FROM {s}.read_models "
        "WHERE name = $1 AND is_live) AND projection <> $2 AND unhandled_from > 0";
    static constexpr const char* columns = "SELECT stream, version, position, last, events, error, unhandled_from "
                                           "FROM {s}.parked_streams WHERE projection = $1";

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

    /// What PostgreSQL takes as a text: UTF-8 without NUL.
    static std::string storable(std::string_view text)
    {
        std::string result;
        while (!text.empty()) {
            const std::size_t length = archive::detail::utf8_sequence_length(text);
            if (length == 0 || text.front() == '\0') result += '?';
            else result += text.substr(0, length);
            text.remove_prefix(std::max<std::size_t>(length, 1));
        }
        return result;
    }

    Connection* connection_;
    std::string projection_;
    Statement any_;
    Statement select_;
    Statement select_all_;
    Statement upsert_;
    Statement delete_;
    std::string read_model_; ///< empty: of none
    std::optional<Statement> any_before_;
    std::optional<Statement> select_before_;
};

static_assert(escqrs::ParkingLot<ParkingLot>);

} // namespace escqrs::postgres
