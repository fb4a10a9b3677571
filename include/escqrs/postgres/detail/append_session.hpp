// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/recent_map.hpp>
#include <escqrs/postgres/detail/append_kinds.hpp>
#include <escqrs/postgres/detail/binary_format.hpp>
#include <escqrs/postgres/schema.hpp>
#include <escqrs/postgres/statement.hpp>
#include <escqrs/store/event_store.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

namespace escqrs::inline v0::postgres::detail {

inline constexpr std::string_view unique_violation = "23505";

/// An append that has not been answered yet.
struct PendingAppend {
    PendingAppend(const StreamId& name, ExpectedVersion version, std::span<const NewEvent> given) noexcept
        : stream{&name}, expected{version}, events{given}
    {
    }

    const StreamId* stream;
    ExpectedVersion expected;
    std::span<const NewEvent> events;
    std::optional<AppendResult> result; ///< if it is stored
    StreamVersion actual;               ///< what was found in place of `expected`
};

/// A connection that appends, with its prepared statements.
/// @par Thread safety  one thread at a time
class AppendSession {
public:
    AppendSession(Connection& connection, const std::string& schema);

    /// Stores several appends, in one round trip and one transaction, except those that do not find their version, or
    /// come after such in the same stream.
    /// @throws DatabaseError  and nothing is stored
    template <class Append>
    void send(Timestamp now, std::span<Append* const> group);

    /// Stores one append by itself, if it finds its version.
    /// @throws DatabaseError  of a unique violation if an id is stored already, or another append came between
    void send_alone(Timestamp now, PendingAppend& append);

    /// In a partitioned log, makes partitions for this many events.
    void make_partitions(std::size_t events) { (void)make_partitions_.query(events); }

    /// Checks whether these events are stored already, as one append of exactly these to this stream.
    /// @return where it ended; nothing if none of the ids is stored
    /// @throws DuplicateEventId if ids are stored in any other way, or given twice
    std::optional<AppendResult> find_repeat(const PendingAppend& append);

private:
    /// Where a stream ended when this connection last appended to it.
    struct StreamEnd {
        std::int64_t id;
        StreamVersion version;
        bool is_ours; ///< no one else seems to append to it
    };

    static constexpr std::size_t max_ends = 16'384;
    static constexpr std::uint64_t largest_version =
        std::numeric_limits<std::int64_t>::max(); ///< no stream comes near it
    static constexpr const char* returning = " RETURNING position, stream";

    static std::string insert_event(const std::string& schema)
    {
        return "INSERT INTO " + quoted_name(schema) +
               ".events (stream, version, recorded_at, index_in_append, kind, id, metadata, payload) SELECT ";
    }

    struct Behind {
        PendingAppend* append;
        std::int64_t stream;
        StreamVersion last;
    };

    void add(const PendingAppend& append);
    void add_events(const PendingAppend& append);
    void clear();
    bool insert_all(Timestamp now);
    void insert_append(Timestamp now, const Behind& place);
    void insert_appends(Timestamp now);
    void note_stored(const Behind& place, std::int64_t last_position);
    std::optional<Behind> known_place(PendingAppend& append);
    bool insert_next(Timestamp now, PendingAppend& append);
    void append_one(Timestamp now, PendingAppend& append);
    void remember(const PendingAppend& append, std::int64_t stream);
    static std::int64_t wanted(ExpectedVersion expected) noexcept;
    [[noreturn]] static void refuse_sequence(const PendingAppend& append);

    AppendKinds kinds_;
    /// None behind a PgBouncer: see `AppendKinds`.
    escqrs::detail::RecentMap<StreamId, StreamEnd> ends_{max_ends};
    Statement append_;
    Statement append_one_;
    Statement append_behind_;
    Statement append_all_behind_;
    Statement insert_by_id_;
    Statement insert_by_name_;
    Statement make_partitions_;
    Statement find_;
    std::vector<Behind> places_;
    ArrayValue names_{type_id::text};
    ArrayValue streams_{type_id::int8};
    ArrayValue versions_{type_id::int8};
    ArrayValue expected_{type_id::int8};
    ArrayValue sizes_{type_id::int4};
    ArrayValue append_numbers_{type_id::int4};
    ArrayValue indexes_{type_id::int4};
    ArrayValue ids_{type_id::uuid};
    ArrayValue event_kinds_{type_id::int4};
    ArrayValue metadata_{type_id::bytes};
    ArrayValue payloads_{type_id::bytes};
};

inline AppendSession::AppendSession(Connection& connection, const std::string& schema)
    : kinds_{connection, schema}, append_{connection, with_schema(kinds_.append(), schema)},
      append_one_{connection, "SELECT " + quoted_name(schema) + ".append_one($1, $2, $3, $4::integer, $5, $6, $7)"},
      append_behind_{connection, "SELECT " + quoted_name(schema) + ".append_behind($1, $2, $3, $4, $5, $6, $7, $8)"},
      append_all_behind_{connection,
                         "SELECT " + quoted_name(schema) + ".append_all_behind($1, $2, $3, $4, $5, $6, $7)"},
      insert_by_id_{connection,
                    insert_event(schema) + "$1, $2 + 1, $3, 0, $4::integer, $5, $6, $7 WHERE EXISTS (SELECT FROM " +
                        quoted_name(schema) + ".event_keys k WHERE k.stream = $1 AND k.version = $2)" + returning},
      insert_by_name_{connection, insert_event(schema) + "k.stream, $2 + 1, $3, 0, $4::integer, $5, $6, $7 FROM " +
                                      quoted_name(schema) + ".streams s JOIN " + quoted_name(schema) +
                                      ".event_keys k ON k.stream = s.id AND k.version = $2 WHERE s.name = $1" +
                                      returning},
      make_partitions_{connection, "SELECT " + quoted_name(schema) + ".make_partitions($1)"},
      find_{connection,
            with_schema("SELECT s.name = $1, k.version, k.position, k.index_in_append, next.index_in_append "
                        "FROM pg_catalog.unnest($2::uuid[]) WITH ORDINALITY AS given (id, number) "
                        "LEFT JOIN {s}.event_keys k ON k.id = given.id LEFT JOIN {s}.streams s ON s.id = k.stream "
                        "LEFT JOIN {s}.event_keys next ON next.stream = k.stream AND "
                        "next.version = k.version + 1 ORDER BY given.number",
                        schema)}
{
}

inline void AppendSession::clear()
{
    for (ArrayValue* const array : {&names_, &streams_, &versions_, &expected_, &sizes_, &append_numbers_, &indexes_,
                                    &ids_, &event_kinds_, &metadata_, &payloads_}) {
        array->clear();
    }
    kinds_.clear();
}

inline void AppendSession::add(const PendingAppend& append)
{
    names_.push(append.stream->text());
    expected_.push(wanted(append.expected));
    sizes_.push(static_cast<std::int32_t>(append.events.size()));
    add_events(append);
}

inline void AppendSession::add_events(const PendingAppend& append)
{
    std::int32_t index = 0;
    for (const NewEvent& event : append.events) {
        append_numbers_.push(static_cast<std::int32_t>(names_.size()));
        indexes_.push(index++);
        ids_.push(event.id.value());
        event_kinds_.push(kinds_.number_of(event));
        metadata_.push(event.metadata);
        payloads_.push(event.payload);
    }
}

template <class Append>
void AppendSession::send(Timestamp now, std::span<Append* const> group)
{
    places_.clear();
    for (Append* const append : group) {
        const auto place = known_place(*append);
        if (!place) break;
        places_.push_back(*place);
    }
    if (places_.size() == group.size() && insert_all(now)) return;

    clear();
    for (const Append* const append : group) add(*append);
    auto rows = kinds_.is_pooled()
                    ? append_.query(names_, expected_, sizes_, append_numbers_, indexes_, ids_, event_kinds_, metadata_,
                                    payloads_, now, kinds_.types(), kinds_.schema_versions(), kinds_.content_types())
                    : append_.query(names_, expected_, sizes_, append_numbers_, indexes_, ids_, event_kinds_, metadata_,
                                    payloads_, now);
    rows.next();
    const auto is_met = rows.integers(0);
    const auto bases = rows.integers(1);
    const auto positions = rows.integers(2);
    const auto streams = rows.integers(3);
    std::size_t stored = 0;
    for (std::size_t index = 0; index < group.size(); ++index) {
        PendingAppend& append = *group[index];
        append.actual = StreamVersion{static_cast<std::uint64_t>(bases.at(index))};
        if (is_met.at(index) == 0) {
            if (StreamEnd* const end = ends_.find(*append.stream)) end->is_ours = false;
            continue;
        }
        stored += append.events.size();
        append.result = AppendResult{StreamVersion{append.actual.value() + append.events.size()},
                                     GlobalPosition{static_cast<std::uint64_t>(positions.at(stored - 1))}};
        remember(append, streams.at(index));
    }
}

inline void AppendSession::send_alone(Timestamp now, PendingAppend& append)
{
    if (append.events.size() != 1 || kinds_.is_pooled()) {
        PendingAppend* const group[] = {&append}; // NOLINT(modernize-avoid-c-arrays)
        return send(now, std::span<PendingAppend* const>{group});
    }
    if (!insert_next(now, append)) append_one(now, append);
}

/// The place of an append, if this connection has seen what it follows.
inline std::optional<AppendSession::Behind> AppendSession::known_place(PendingAppend& append)
{
    const StreamEnd* const end = ends_.find(*append.stream);
    if (end == nullptr) return std::nullopt;
    const bool is_any =
        append.expected == ExpectedVersion::any() || append.expected == ExpectedVersion::stream_exists();
    const bool is_met = is_any ? end->is_ours : append.expected.version() == end->version;
    if (!is_met) return std::nullopt;
    return Behind{&append, end->id, end->version};
}

/// Each to a different stream, whose end is known: nothing needs to be looked up.
/// @return false if two are to the same stream, or an end is not where it was, or an event is stored already
inline bool AppendSession::insert_all(Timestamp now)
{
    // In order, so that no two such groups wait for each other.
    std::ranges::sort(places_, {}, &Behind::stream);
    if (std::ranges::adjacent_find(places_, {}, &Behind::stream) != places_.end()) return false;
    try {
        if (places_.size() == 1) insert_append(now, places_.front());
        else insert_appends(now);
        return true;
    } catch (const DatabaseError& error) {
        if (error.state() != unique_violation) throw;
        for (const Behind& place : places_) {
            if (StreamEnd* const end = ends_.find(*place.append->stream)) end->is_ours = false;
        }
        return false;
    }
}

inline void AppendSession::insert_append(Timestamp now, const Behind& place)
{
    clear();
    add_events(*place.append);
    auto rows =
        append_all_behind_.query(place.stream, place.last.value(), ids_, event_kinds_, metadata_, payloads_, now);
    rows.next();
    if (rows.is_null(0)) refuse_sequence(*place.append);
    note_stored(place, rows.integer(0));
}

inline void AppendSession::insert_appends(Timestamp now)
{
    clear();
    for (const Behind& place : places_) {
        for (std::size_t event = 1; event <= place.append->events.size(); ++event) {
            streams_.push(place.stream);
            versions_.push(static_cast<std::int64_t>(place.last.value() + event));
        }
        add_events(*place.append);
    }
    auto rows = append_behind_.query(streams_, versions_, indexes_, ids_, event_kinds_, metadata_, payloads_, now);
    rows.next();
    const auto positions = rows.integers(0);
    std::size_t stored = 0;
    for (const Behind& place : places_) {
        stored += place.append->events.size();
        note_stored(place, positions.at(stored - 1));
    }
}

inline void AppendSession::note_stored(const Behind& place, std::int64_t last_position)
{
    PendingAppend& append = *place.append;
    append.actual = place.last;
    append.result = AppendResult{StreamVersion{place.last.value() + append.events.size()},
                                 GlobalPosition{static_cast<std::uint64_t>(last_position)}};
    remember(append, place.stream);
}

/// As the next event after one whose version is known, or guessed: without the function, and so at little more cost
/// than any insert.
/// @return false if that event is not there or another follows it, or nothing can be guessed
inline bool AppendSession::insert_next(Timestamp now, PendingAppend& append)
{
    StreamEnd* const end = ends_.find(*append.stream);
    const bool guesses =
        append.expected == ExpectedVersion::any() || append.expected == ExpectedVersion::stream_exists();
    if (guesses && (end == nullptr || !end->is_ours)) return false;
    const StreamVersion last = guesses ? end->version : append.expected.version();
    if (last == StreamVersion{} || last.value() >= largest_version) return false;
    const NewEvent& event = append.events.front();
    const std::int32_t kind = kinds_.number_of(event);
    try {
        auto rows = end == nullptr ? insert_by_name_.query(append.stream->text(), last.value(), now, kind, event.id,
                                                           event.metadata, event.payload)
                                   : insert_by_id_.query(end->id, last.value(), now, kind, event.id, event.metadata,
                                                         event.payload);
        if (!rows.next()) return false;
        append.actual = last;
        append.result = AppendResult{last.next(), GlobalPosition{static_cast<std::uint64_t>(rows.integer(0))}};
        remember(append, rows.integer(1));
        return true;
    } catch (const DatabaseError& error) {
        if (error.state() != unique_violation) throw;
        if (end != nullptr) end->is_ours = false;
        return false;
    }
}

inline void AppendSession::append_one(Timestamp now, PendingAppend& append)
{
    const NewEvent& event = append.events.front();
    auto rows = append_one_.query(append.stream->text(), wanted(append.expected), event.id, kinds_.number_of(event),
                                  event.metadata, event.payload, now);
    rows.next();
    const auto found = rows.integers(0);
    if (found.size() != 3) refuse_sequence(append);
    append.actual = StreamVersion{static_cast<std::uint64_t>(found.at(0))};
    const GlobalPosition position{static_cast<std::uint64_t>(found.at(1))};
    if (position > GlobalPosition{}) append.result = AppendResult{append.actual.next(), position};
    if (append.result) remember(append, found.at(2));
}

inline void AppendSession::remember(const PendingAppend& append, std::int64_t stream)
{
    if (kinds_.is_pooled()) return;
    const StreamEnd* const known = ends_.find(*append.stream);
    const bool is_ours = known == nullptr || known->version == append.actual;
    ends_.insert_or_assign(*append.stream, StreamEnd{stream, append.result->version, is_ours});
}

inline std::int64_t AppendSession::wanted(ExpectedVersion expected) noexcept
{
    if (expected == ExpectedVersion::any()) return -1;
    if (expected == ExpectedVersion::stream_exists()) return -2;
    return static_cast<std::int64_t>(std::min(expected.version().value(), largest_version));
}

inline void AppendSession::refuse_sequence(const PendingAppend& append)
{
    throw StoreError{"append to stream '" + append.stream->text() +
                     "': the sequence of positions has no last value: open the store again, which sets it right"};
}

inline std::optional<AppendResult> AppendSession::find_repeat(const PendingAppend& append)
{
    ArrayValue ids{type_id::uuid};
    std::unordered_set<EventId> seen;
    std::optional<EventId> given_twice;
    for (const NewEvent& event : append.events) {
        ids.push(event.id.value());
        if (!seen.insert(event.id).second) given_twice = event.id;
    }
    auto rows = find_.query(append.stream->text(), ids);
    std::optional<std::int64_t> first_version;
    std::optional<AppendResult> end;
    for (std::size_t index = 0; rows.next() && index < append.events.size(); ++index) {
        const EventId& id = append.events[index].id;
        const bool is_stored = !rows.is_null(1);
        if (index == 0 && is_stored) first_version = rows.integer(1);
        if (!is_stored && !first_version) continue; // new, as all before it
        if (!is_stored) throw DuplicateEventId{*append.stream, append.events.front().id};
        const bool is_in_place = first_version && rows.integer(0) != 0 &&
                                 rows.integer(3) == static_cast<std::int64_t>(index) &&
                                 rows.integer(1) == *first_version + static_cast<std::int64_t>(index);
        if (!is_in_place) throw DuplicateEventId{*append.stream, id};
        const bool is_last = index + 1 == append.events.size();
        const bool goes_on = !rows.is_null(4) && rows.integer(4) != 0;
        if (is_last && goes_on) throw DuplicateEventId{*append.stream, append.events.front().id};
        end = AppendResult{StreamVersion{static_cast<std::uint64_t>(rows.integer(1))},
                           GlobalPosition{static_cast<std::uint64_t>(rows.integer(2))}, true};
    }
    if (!end && given_twice) throw DuplicateEventId{*append.stream, *given_twice};
    return end;
}

} // namespace escqrs::inline v0::postgres::detail
