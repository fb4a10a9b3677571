// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/postgres/detail/event_log_schema.hpp>
#include <escqrs/postgres/schema.hpp>
#include <escqrs/postgres/statement.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace escqrs::inline v0::postgres::detail {

/// What the order of the log depends on.
struct Positions {
    /// No session keeps positions in store (CACHE 1).
    bool one_at_a_time;
    /// Each is the next one, below 2^48, and none comes twice.
    bool in_bounds;
    bool is_called;      ///< the last one drawn is known
    std::int64_t drawn;  ///< the last one
    std::int64_t stored; ///< the highest of an event
    /// The sequences of streams and kinds are at or beyond the stored numbers.
    bool ids_are_ahead;

    bool is_sound() const noexcept
    {
        return one_at_a_time && in_bounds && is_called && drawn >= stored && ids_are_ahead;
    }
};

/// Without a lock: what is stored in the statement's snapshot was drawn before, and the sequences are read after it.
/// Sequences that this role may not read count as sound.
inline Positions positions_of(Connection& connection, const std::string& schema)
{
    Statement select{
        connection,
        with_schema("SELECT q.seqcache = 1, q.seqincrement = 1 AND q.seqmax <= $1 AND NOT q.seqcycle, "
                    "pg_sequence_last_value(q.seqrelid::regclass), (SELECT max(position) FROM {s}.events), "
                    "(SELECT pg_catalog.bool_and(CASE WHEN has_sequence_privilege(id.sequence, 'SELECT'::text) THEN "
                    "coalesce(pg_sequence_last_value(id.sequence::regclass), 0::bigint) >= id.highest ELSE true END) "
                    "FROM (SELECT pg_get_serial_sequence('{s}.streams'::text, 'id'::text)::regclass::oid AS sequence, "
                    "coalesce(max(id), 0::bigint) AS highest FROM {s}.streams UNION ALL "
                    "SELECT pg_get_serial_sequence('{s}.event_kinds'::text, 'id'::text)::regclass::oid, "
                    "coalesce(max(id), 0)::bigint FROM {s}.event_kinds) AS id) "
                    "FROM pg_catalog.pg_sequence q WHERE q.seqrelid = '{s}.positions'::regclass::oid",
                    schema)};
    auto rows = select.query(max_position);
    if (!rows.next())
        throw StoreError{"postgres '" + connection.where() + "': schema '" + schema +
                         "': expected a sequence named positions, found none"};
    return {rows.integer(0) != 0, rows.integer(1) != 0, !rows.is_null(2),
            rows.integer(2),      rows.integer(3),      rows.integer(4) != 0};
}

/// Corrects the sequences, while no one can append.
inline void repair_positions(Connection& connection, const std::string& schema)
{
    Transaction transaction{connection};
    lock_migration(connection, schema);
    // Appends take these in the same order, and draw positions and ids only when they have them.
    connection.execute(with_schema("LOCK TABLE {s}.streams, {s}.event_kinds, {s}.events IN EXCLUSIVE MODE", schema));
    if (positions_of(connection, schema).is_sound()) return; // by another process
    constexpr const char* repair =
        "ALTER SEQUENCE {s}.positions INCREMENT 1 MAXVALUE {max_position} NO CYCLE; "
        "SELECT setval('{s}.positions', greatest(0, (SELECT max(position) FROM {s}.events), "
        "(SELECT last_value - (NOT is_called)::integer FROM {s}.positions))); "
        "SELECT setval(pg_get_serial_sequence('{s}.streams', 'id'), greatest(max(id), "
        "pg_sequence_last_value(pg_get_serial_sequence('{s}.streams', 'id')))) FROM {s}.streams HAVING max(id) > 0; "
        "SELECT setval(pg_get_serial_sequence('{s}.event_kinds', 'id'), greatest(max(id), pg_sequence_last_value("
        "pg_get_serial_sequence('{s}.event_kinds', 'id')))) FROM {s}.event_kinds HAVING max(id) > 0";
    connection.execute(unhindered + with_schema(with_max_position(repair), schema));
    transaction.commit();
}

/// Refuses a sequence from which positions may come out of order; corrects one whose value was lost, as after logical
/// replication or a copy of the tables, which do not carry the values of sequences.
inline void check_positions(Connection& connection, const std::string& schema)
{
    const Positions found = positions_of(connection, schema);
    if (found.is_sound()) return;
    const std::string where =
        "postgres '" + connection.where() + "': schema '" + schema + "': sequence positions: expected ";
    if (!found.one_at_a_time) {
        throw StoreError{where +
                         "CACHE 1, found more: sessions that keep positions in store append behind what readers have "
                         "read; end them, and ALTER SEQUENCE ... CACHE 1"};
    }
    try {
        repair_positions(connection, schema);
    } catch (const DatabaseError& error) {
        constexpr std::string_view insufficient_privilege = "42501";
        if (error.state() != insufficient_privilege) throw;
        throw StoreError{
            where + "a last value of at least " + std::to_string(found.stored) + ", that of the last event, found " +
            (found.is_called ? std::to_string(found.drawn) : "none") +
            ", or other bounds than 0 and 2^48: open the store once as the owner of the schema, which sets it "
            "right"};
    }
}

/// A database that a development version made, before the first release, says that it is of version 1, but is not.
inline void check_first_version(Connection& connection, const std::string& schema)
{
    constexpr int functions = 7;
    const std::string expected = with_schema(create_event_functions, schema);
    Statement select{connection,
                     "SELECT proname::text, prosrc FROM pg_catalog.pg_proc WHERE pronamespace = (SELECT oid "
                     "FROM pg_catalog.pg_namespace WHERE nspname = $1) AND proname IN ('append', "
                     "'append_one', 'append_behind', 'append_all_behind', 'readable_until', 'kind', "
                     "'write_snapshot') ORDER BY proname"};
    auto rows = select.query(schema);
    int found = 0;
    while (rows.next()) {
        if (expected.find(rows.text(1)) != std::string::npos) ++found;
    }
    if (found == functions) return;
    throw StoreError{"postgres '" + connection.where() + "': schema '" + schema + "': event store: expected the " +
                     std::to_string(functions) + " functions of version 1, found " + std::to_string(found) +
                     " of them: a version of the library before its first release made this schema, and it cannot be "
                     "upgraded"};
}

/// The statements that make an event log of each version out of the one before.
/// @param partition_size  of a log that is made now; 0: it is not partitioned
inline std::array<std::string, 3> event_log_steps(std::uint64_t partition_size)
{
    return {create_event_log(partition_size), add_log_id, bound_positions};
}

/// Makes the event log's tables, or upgrades them, and checks that positions come in order.
/// @param partition_size  of a log that is made now; 0: it is not partitioned
inline void open_event_log(Connection& connection, const std::string& schema, std::uint64_t partition_size)
{
    auto texts = event_log_steps(partition_size);
    std::array<const char*, texts.size()> steps{};
    for (std::size_t step = 0; step < texts.size(); ++step) {
        texts[step] = unhindered + with_max_position(texts[step]);
        steps[step] = texts[step].c_str();
    }
    const SchemaPart part{"event store", steps};
    if (version_of(connection, schema, part) == 1) check_first_version(connection, schema);
    migrate(connection, schema, part);
    check_positions(connection, schema);
}

} // namespace escqrs::inline v0::postgres::detail
