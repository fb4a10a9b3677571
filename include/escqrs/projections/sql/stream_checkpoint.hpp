// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/identifiers.hpp>
#include <escqrs/projections/advance.hpp>
#include <escqrs/projections/sql/dialect.hpp>

#include <cstdint>
#include <string>
#include <utility>

namespace escqrs::inline v0::sql {

/// How far each stream has been applied to a read model: for a consumer of a queue, which may get messages twice or too
/// early. Kept in the read model's database.
/// @par Thread safety  as its database: one thread at a time
template <class Dialect>
class StreamCheckpoint {
public:
    /// Creates its table if there is none.
    /// @param database    must outlive this
    /// @param projection  distinguishes this read model's checkpoints from those of others
    /// @param place       PostgreSQL: the schema
    StreamCheckpoint(typename Dialect::Database& database, std::string projection,
                     const typename Dialect::Place& place = {})
        : StreamCheckpoint{Dialect{database, place}, std::move(projection)}
    {
    }

    /// The same, of a database and its place.
    StreamCheckpoint(const Dialect& dialect, std::string projection)
        : projection_{std::move(projection)},
          select_{sql::statement(dialect.with(Tables::stream_checkpoints),
                                 "SELECT version FROM {s}.stream_checkpoints WHERE projection = $1 AND stream = $2")},
          clear_{sql::statement(dialect, "DELETE FROM {s}.stream_checkpoints WHERE projection = $1")},
          versions_{dialect}
    {
        static_assert(sql::Dialect<Dialect>);
    }

    /// Returns what to do with an event, and remembers its version if it must be applied. Call it in the transaction
    /// that applies the event; other calls for the stream wait until that has ended.
    Advance advance(const StreamId& stream, StreamVersion version)
    {
        return versions_.advance(projection_, stream, version, [&] { return version_of(stream); });
    }

    /// Version of the last event applied; 0 if there is none.
    StreamVersion version_of(const StreamId& stream)
    {
        auto rows = select_.query(projection_, stream.text());
        return rows.next() ? StreamVersion{static_cast<std::uint64_t>(rows.integer(0))} : StreamVersion{};
    }

    /// Forgets all streams: for a read model that is built anew. Call it in the transaction that empties the read
    /// model.
    void clear() { clear_.run(projection_); }

private:
    std::string projection_;
    typename Dialect::Statement select_;
    typename Dialect::Statement clear_;
    typename Dialect::StreamVersions versions_;
};

} // namespace escqrs::inline v0::sql
