// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/postgres/detail/binary_format.hpp>
#include <escqrs/store/event_store.hpp>

#include <libpq-fe.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace escqrs::inline v0::postgres::detail {

/// Type, schema version and content type of an event.
struct EventKind {
    std::string type;
    unsigned schema_version;
    std::string content_type;
};

using EventKinds = std::unordered_map<std::int32_t, EventKind>; ///< by their number in the database

/// Some consecutive events, copied out of the database: a sink may take as long as it likes over them, and use the
/// store, while no snapshot of the database is held.
///
/// It takes the bytes that `COPY … TO STDOUT (FORMAT binary)` sends (PostgreSQL's manual, "COPY", "Binary Format"), in
/// which each row has the columns position, version, recorded_at, id, kind, metadata, payload, in a page of the log the
/// stream's name, and then, unless the connection knows the kinds, the kind's type, schema version and content type.
class EventPage {
public:
    void clear() noexcept
    {
        bytes_.clear();
        rows_.clear();
    }

    /// Takes the next bytes, however they are cut.
    void append(std::string_view bytes)
    {
        const auto view = std::as_bytes(std::span{bytes});
        bytes_.insert(bytes_.end(), view.begin(), view.end());
    }
    std::size_t bytes() const noexcept { return bytes_.size(); }

    /// Takes a row of a query's answer in the binary format; the first one begins the page.
    void append_row(const PGresult* row);

    /// Ends the bytes here, after a whole row.
    void cut()
    {
        bytes_.insert(bytes_.end(), 2, std::byte{0xFF}); // as the server ends them
    }

    /// Finds the rows in what was taken.
    /// @param columns  of each row: 7 or 8, or 3 more with the kind
    /// @throws StoreError if the bytes are not of this form; the whole rows are kept
    void parse(int columns);

    std::size_t size() const noexcept { return rows_.size(); }
    std::uint64_t position(std::size_t index) const noexcept { return rows_[index].position; }
    std::uint64_t version(std::size_t index) const noexcept { return rows_[index].version; }
    const EventId& id(std::size_t index) const noexcept { return rows_[index].id; }
    std::int32_t kind(std::size_t index) const noexcept { return rows_[index].kind; }

    /// Sets the kind of each number; `kinds` must hold all of the page, and is kept until the next call.
    void set_kinds(std::shared_ptr<const EventKinds> kinds);

    /// Name of the event's stream; empty if the page is of one stream.
    std::string_view stream_name(std::size_t index) const noexcept { return text(rows_[index].name); }

    RecordedEvent event(std::size_t index, const StreamId& stream) const noexcept
    {
        const Row& row = rows_[index];
        const EventKind& kind = *row.named_kind;
        return {stream,
                StreamVersion{row.version},
                GlobalPosition{row.position},
                row.recorded_at,
                row.id,
                kind.type,
                kind.schema_version,
                kind.content_type,
                row.payload,
                row.metadata};
    }

private:
    struct Row {
        std::uint64_t position;
        std::uint64_t version;
        Timestamp recorded_at;
        EventId id;
        std::int32_t kind;
        const EventKind* named_kind; ///< in `kinds_`
        Bytes metadata;              ///< these three in `bytes_`
        Bytes payload;
        Bytes name;
    };

    static std::string_view text(Bytes bytes) noexcept
    {
        return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; // NOLINT: char aliases
    }

    Bytes take(Bytes& left, std::size_t size) const;
    Bytes take_field(Bytes& left, std::optional<std::size_t> expected_size = {}) const;
    [[noreturn]] void refuse(const char* expected, const Bytes& left) const;

    static constexpr std::string_view signature{"PGCOPY\n\377\r\n\0", 11};

    std::vector<std::byte> bytes_;
    std::vector<Row> rows_;
    std::shared_ptr<const EventKinds> kinds_;
};

inline void EventPage::append_row(const PGresult* row)
{
    if (bytes_.empty()) {
        append(signature);
        put_number<std::uint64_t>(bytes_, 0); // neither flags nor an extension
    }
    const int columns = PQnfields(row);
    put_number(bytes_, static_cast<std::int16_t>(columns));
    for (int column = 0; column < columns; ++column) {
        const int size = PQgetlength(row, 0, column);
        put_number(bytes_, static_cast<std::int32_t>(PQgetisnull(row, 0, column) != 0 ? -1 : size));
        append({PQgetvalue(row, 0, column), static_cast<std::size_t>(size)});
    }
}

inline void EventPage::parse(int columns)
{
    rows_.clear();
    const bool has_name = columns % 3 == 2;
    const auto kinds = columns > 8 ? std::make_shared<EventKinds>() : nullptr;
    Bytes left{bytes_};
    const Bytes found = take(left, signature.size());
    if (std::memcmp(found.data(), signature.data(), signature.size()) != 0)
        refuse("the signature of binary COPY", left);
    (void)take(left, 4); // flags
    const auto extension = number_from<std::uint32_t>(take(left, 4));
    (void)take(left, extension);
    while (true) {
        const auto fields = number_from<std::int16_t>(take(left, 2));
        if (fields == -1) break; // the end
        if (fields != columns) refuse("a row of another number of columns", left);
        Row row{};
        row.position = number_from<std::uint64_t>(take_field(left, 8));
        row.version = number_from<std::uint64_t>(take_field(left, 8));
        row.recorded_at = from_postgres(number_from<std::int64_t>(take_field(left, 8)));
        Uuid id{};
        std::memcpy(id.data, take_field(left, sizeof id.data).data(), sizeof id.data);
        row.id = EventId{id};
        row.kind = number_from<std::int32_t>(take_field(left, 4));
        row.metadata = take_field(left);
        row.payload = take_field(left);
        if (has_name) row.name = take_field(left);
        if (kinds) {
            const std::string_view type = text(take_field(left));
            const auto version = number_from<std::int64_t>(take_field(left, 8));
            const std::string_view content_type = text(take_field(left));
            if (!kinds->contains(row.kind)) {
                kinds->emplace(row.kind,
                               EventKind{std::string{type}, static_cast<unsigned>(version), std::string{content_type}});
            }
        }
        rows_.push_back(row);
    }
    if (!left.empty()) refuse("nothing behind the end", left);
    if (kinds) set_kinds(kinds);
}

inline void EventPage::set_kinds(std::shared_ptr<const EventKinds> kinds)
{
    for (Row& row : rows_) row.named_kind = &kinds->at(row.kind);
    kinds_ = std::move(kinds);
}

inline Bytes EventPage::take(Bytes& left, std::size_t size) const
{
    if (left.size() < size) refuse("more bytes", left);
    const Bytes taken = left.first(size);
    left = left.subspan(size);
    return taken;
}

inline Bytes EventPage::take_field(Bytes& left, std::optional<std::size_t> expected_size) const
{
    const auto size = number_from<std::int32_t>(take(left, 4));
    if (size < 0) refuse("a value, not NULL", left);
    const auto found = static_cast<std::size_t>(size);
    if (expected_size && found != *expected_size) refuse("a value of another size", left);
    return take(left, found);
}

inline void EventPage::refuse(const char* expected, const Bytes& left) const
{
    throw StoreError{"postgres: events in binary COPY format: expected " + std::string{expected} + " at byte " +
                     std::to_string(bytes_.size() - left.size()) + " of " + std::to_string(bytes_.size())};
}

} // namespace escqrs::inline v0::postgres::detail
