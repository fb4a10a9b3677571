// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/clock.hpp>
#include <escqrs/detail/group_queue.hpp>
#include <escqrs/event_store.hpp>
#include <escqrs/postgres/detail/binary_format.hpp>
#include <escqrs/postgres/schema.hpp>
#include <escqrs/postgres/statement.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace escqrs::postgres::detail {

/// Appends of many threads over one connection: those that wait go out together, in one round trip and one transaction, each
/// failing or succeeding alone.
///
/// When the connection is lost, what was under way is sent again, with the same event ids, so that it is stored once.
/// @par Thread safety  `append` may be called from any thread
class EventLogWriter {
public:
    struct Options {
        ConnectionOptions connection;
        std::size_t max_group_size;
        Duration reconnect_timeout;
        Clock* clock;
    };

    EventLogWriter(const std::string& address, const std::string& schema, const Options& options);

    AppendResult append(const StreamId& stream, ExpectedVersion expected, std::span<const NewEvent> events);

    Connection& connection() noexcept { return connection_; }

private:
    /// A call of `append` that has not returned yet.
    struct Caller : escqrs::detail::GroupQueue<Caller>::Entry {
        Caller(const StreamId& name, ExpectedVersion version, std::span<const NewEvent> given) noexcept
            : stream{&name}, expected{version}, events{given}
        {
        }

        const StreamId* stream;
        ExpectedVersion expected;
        std::span<const NewEvent> events;
        std::optional<AppendResult> result;
        std::exception_ptr failure;
        StreamVersion actual;    ///< what was found instead of `expected`
        bool is_refused = false; ///< `expected` was not met, or not by those before it in the group
    };

    static constexpr std::size_t max_group_bytes = 4 * 1024 * 1024;

    void append_group(Caller* first) noexcept;
    void append_together(std::span<Caller* const> group) noexcept;
    void append_alone(Caller& caller) noexcept;
    AppendResult append_one(Caller& caller);
    template <class Work>
    void persistently(Work work);
    void send(std::span<Caller* const> group);
    std::optional<AppendResult> find_repeat(const Caller& caller);
    std::int64_t kind_of(const NewEvent& event);

    static std::int64_t wanted(ExpectedVersion expected) noexcept;

    struct Kind {
        std::string type;
        unsigned schema_version;
        std::string content_type;
        std::int32_t id;
    };

    Options options_;
    Connection connection_;
    Statement append_;
    Statement find_;
    Statement kind_;
    escqrs::detail::GroupQueue<Caller> queue_;

    // Only for who leads the queue.
    std::vector<Kind> kinds_; ///< few, so they are looked through
    std::vector<Caller*> group_;
    ArrayValue names_{type_id::text};
    ArrayValue expected_{type_id::int8};
    ArrayValue sizes_{type_id::int4};
    ArrayValue append_numbers_{type_id::int4};
    ArrayValue indexes_{type_id::int4};
    ArrayValue ids_{type_id::uuid};
    ArrayValue event_kinds_{type_id::int4};
    ArrayValue metadata_{type_id::bytes};
    ArrayValue payloads_{type_id::bytes};
};

inline EventLogWriter::EventLogWriter(const std::string& address, const std::string& schema, const Options& options)
    : options_{options}, connection_{address, options.connection},
      append_{connection_, "SELECT is_met::int4[], bases, positions FROM " + quoted(schema) +
                               ".append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"},
      find_{connection_,
            with_schema("SELECT s.name = $1, e.version, e.position, e.index_in_append, next.index_in_append "
                        "FROM unnest($2::uuid[]) WITH ORDINALITY AS given (id, number) "
                        "LEFT JOIN {s}.events e ON e.id = given.id LEFT JOIN {s}.streams s ON s.id = e.stream "
                        "LEFT JOIN {s}.events next ON next.stream = e.stream AND "
                        "next.version = e.version + 1 ORDER BY given.number",
                        schema)},
      kind_{connection_, "SELECT " + quoted(schema) + ".kind($1, $2, $3)"}, queue_{options.max_group_size}
{
}

inline AppendResult EventLogWriter::append(const StreamId& stream, ExpectedVersion expected,
                                           std::span<const NewEvent> events)
{
    Caller self{stream, expected, events};
    queue_.take_part(self, [this](Caller* first) { append_group(first); });
    if (self.failure) std::rethrow_exception(self.failure);
    return *self.result;
}

/// In parts that are bounded in bytes.
inline void EventLogWriter::append_group(Caller* first) noexcept
{
    try {
        while (first != nullptr) {
            group_.clear();
            std::size_t bytes = 0;
            for (; first != nullptr && bytes <= max_group_bytes; first = first->next) {
                for (const NewEvent& event : first->events) bytes += event.payload.size() + event.metadata.size();
                group_.push_back(first);
            }
            append_together(group_);
        }
    } catch (...) {
        for (Caller* caller = first; caller != nullptr; caller = caller->next)
            caller->failure = std::current_exception();
    }
}

inline void EventLogWriter::append_together(std::span<Caller* const> group) noexcept
{
    if (group.size() > 1) {
        try {
            persistently([&] { send(group); });
        } catch (...) {
            // Nothing of the group is stored. Who of them is to blame, each will find out alone.
            for (Caller* const caller : group) caller->is_refused = true;
        }
    }
    for (Caller* const caller : group) {
        if (!caller->result) append_alone(*caller);
    }
}

inline void EventLogWriter::append_alone(Caller& caller) noexcept
{
    try {
        persistently([&] { caller.result = append_one(caller); });
    } catch (...) {
        caller.failure = std::current_exception();
    }
}

inline AppendResult EventLogWriter::append_one(Caller& caller)
{
    Caller* const group[] = {&caller}; // NOLINT(modernize-avoid-c-arrays)
    try {
        send(group);
    } catch (const DatabaseError& error) {
        constexpr const char* unique_violation = "23505";
        if (error.state() != unique_violation) throw;
        if (const auto repeat = find_repeat(caller)) return *repeat;
        throw;
    }
    if (caller.result) return *caller.result;
    if (const auto repeat = find_repeat(caller)) return *repeat;
    throw ConcurrencyError{*caller.stream, caller.expected, caller.actual};
}

/// Does `work` again when the connection was lost, or the server had to choose a victim among those who waited for each other.
template <class Work>
void EventLogWriter::persistently(Work work)
{
    const Timestamp deadline = options_.clock->now() + options_.reconnect_timeout;
    Duration delay = std::chrono::milliseconds{10};
    while (true) {
        try {
            return work();
        } catch (const DatabaseError& error) {
            const bool is_passing = dynamic_cast<const ConnectionLost*>(&error) != nullptr ||
                                    error.state() == "40P01" || error.state() == "40001";
            if (!is_passing || options_.clock->now() + delay > deadline) throw;
        }
        sleep_for(*options_.clock, delay, {});
        delay = std::min<Duration>(2 * delay, std::chrono::seconds{1});
    }
}

/// Appends a group in one transaction, and tells each whether it is stored.
inline void EventLogWriter::send(std::span<Caller* const> group)
{
    for (ArrayValue* const array :
         {&names_, &expected_, &sizes_, &append_numbers_, &indexes_, &ids_, &event_kinds_, &metadata_, &payloads_}) {
        array->clear();
    }
    std::int32_t number = 0;
    for (const Caller* const caller : group) {
        names_.push(caller->stream->text());
        expected_.push(wanted(caller->expected));
        sizes_.push(static_cast<std::int32_t>(caller->events.size()));
        ++number;
        std::int32_t index = 0;
        for (const NewEvent& event : caller->events) {
            append_numbers_.push(number);
            indexes_.push(index++);
            ids_.push(event.id.value());
            event_kinds_.push(static_cast<std::int32_t>(kind_of(event)));
            metadata_.push(event.metadata);
            payloads_.push(event.payload);
        }
    }
    auto rows = append_.query(names_, expected_, sizes_, append_numbers_, indexes_, ids_, event_kinds_, metadata_,
                              payloads_, options_.clock->now());
    rows.next();
    const auto is_met = rows.integers(0);
    const auto bases = rows.integers(1);
    const auto positions = rows.integers(2);
    std::size_t stored = 0;
    for (std::size_t index = 0; index < group.size(); ++index) {
        Caller& caller = *group[index];
        caller.actual = StreamVersion{static_cast<std::uint64_t>(bases.at(index))};
        if (is_met.at(index) == 0) continue;
        stored += caller.events.size();
        caller.result = AppendResult{StreamVersion{caller.actual.value() + caller.events.size()},
                                     GlobalPosition{static_cast<std::uint64_t>(positions.at(stored - 1))}};
    }
}

inline std::int64_t EventLogWriter::wanted(ExpectedVersion expected) noexcept
{
    if (expected == ExpectedVersion::any()) return -1;
    if (expected == ExpectedVersion::stream_exists()) return -2;
    constexpr std::uint64_t largest = std::numeric_limits<std::int64_t>::max(); // no version comes near it
    return static_cast<std::int64_t>(std::min(expected.version().value(), largest));
}

inline std::int64_t EventLogWriter::kind_of(const NewEvent& event)
{
    for (const Kind& kind : kinds_) {
        const bool is_it = kind.type == event.type && kind.schema_version == event.schema_version &&
                           kind.content_type == event.content_type;
        if (is_it) return kind.id;
    }
    auto rows = kind_.query(event.type, event.schema_version, event.content_type);
    rows.next();
    const auto id = static_cast<std::int32_t>(rows.integer(0));
    kinds_.push_back({std::string{event.type}, event.schema_version, std::string{event.content_type}, id});
    return id;
}

/// Looks whether these events are stored already, as one append of exactly these to this stream.
/// @return where it ended; nothing if none of the ids is stored
/// @throws DuplicateEventId if ids are stored in any other way, or given twice
inline std::optional<AppendResult> EventLogWriter::find_repeat(const Caller& caller)
{
    ArrayValue ids{type_id::uuid};
    std::unordered_set<EventId> seen;
    std::optional<EventId> given_twice;
    for (const NewEvent& event : caller.events) {
        ids.push(event.id.value());
        if (!seen.insert(event.id).second) given_twice = event.id;
    }
    auto rows = find_.query(caller.stream->text(), ids);
    std::optional<std::int64_t> first_version;
    std::optional<AppendResult> end;
    for (std::size_t index = 0; rows.next() && index < caller.events.size(); ++index) {
        const EventId& id = caller.events[index].id;
        const bool is_stored = !rows.is_null(1);
        if (index == 0 && is_stored) first_version = rows.integer(1);
        if (!is_stored && !first_version) continue; // new, as all before it
        if (!is_stored) throw DuplicateEventId{*caller.stream, caller.events.front().id};
        const bool is_in_place = first_version && rows.integer(0) != 0 &&
                                 rows.integer(3) == static_cast<std::int64_t>(index) &&
                                 rows.integer(1) == *first_version + static_cast<std::int64_t>(index);
        if (!is_in_place) throw DuplicateEventId{*caller.stream, id};
        const bool is_last = index + 1 == caller.events.size();
        const bool goes_on = !rows.is_null(4) && rows.integer(4) != 0;
        if (is_last && goes_on) throw DuplicateEventId{*caller.stream, caller.events.front().id};
        end = AppendResult{StreamVersion{static_cast<std::uint64_t>(rows.integer(1))},
                           GlobalPosition{static_cast<std::uint64_t>(rows.integer(2))}};
    }
    if (!end && given_twice) throw DuplicateEventId{*caller.stream, *given_twice};
    return end;
}

} // namespace escqrs::postgres::detail
