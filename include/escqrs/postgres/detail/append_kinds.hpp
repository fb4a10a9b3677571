// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/postgres/detail/binary_format.hpp>
#include <escqrs/postgres/schema.hpp>
#include <escqrs/postgres/statement.hpp>
#include <escqrs/store/event_store.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace escqrs::inline v0::postgres::detail {

/// The kinds of events that a connection appends, as numbers.
///
/// They are the database's numbers, remembered as long as the connection. Behind a PgBouncer, where another server may
/// take over unseen and give those numbers to other kinds, they are numbers within one statement, which brings the
/// kinds along.
/// @par Thread safety  one thread at a time
class AppendKinds {
public:
    AppendKinds(Connection& connection, const std::string& schema)
        : is_pooled_{!connection.options().prepares_statements},
          select_{connection, "SELECT " + quoted_name(schema) + ".kind($1, $2, $3)"}
    {
    }

    bool is_pooled() const noexcept { return is_pooled_; }

    /// The statement that appends, in which `{s}` stands for the schema. If it brings the kinds along, they are its
    /// last three parameters.
    std::string_view append() const noexcept
    {
        return is_pooled_ ? "SELECT is_met::int4[], bases, positions, streams FROM "
                            "(SELECT ARRAY(SELECT {s}.kind(given.type, given.version, given.content_type) FROM "
                            "unnest($11::text[], $12::bigint[], $13::text[]) WITH ORDINALITY AS "
                            "given (type, version, content_type, number) ORDER BY given.number) AS ids) AS kinds, "
                            "{s}.append($1, $2, $3, $4, $5, $6, ARRAY(SELECT kinds.ids[given.kind] FROM "
                            "pg_catalog.unnest($7::integer[]) WITH ORDINALITY AS given (kind, number) "
                            "ORDER BY given.number), $8, $9, $10)"
                          : "SELECT is_met::int4[], bases, positions, streams FROM "
                            "{s}.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    }

    std::int32_t number_of(const NewEvent& event)
    {
        for (const Kind& kind : kinds_) {
            const bool is_it = kind.type == event.type && kind.schema_version == event.schema_version &&
                               kind.content_type == event.content_type;
            if (is_it) return kind.number;
        }
        auto number = static_cast<std::int32_t>(kinds_.size() + 1);
        if (is_pooled_) {
            types_.push(event.type);
            schema_versions_.push(static_cast<std::int64_t>(event.schema_version));
            content_types_.push(event.content_type);
        } else {
            auto rows = select_.query(event.type, event.schema_version, event.content_type);
            rows.next();
            number = static_cast<std::int32_t>(rows.integer(0));
        }
        kinds_.push_back({std::string{event.type}, event.schema_version, std::string{event.content_type}, number});
        return number;
    }

    /// Begins with another statement.
    void clear()
    {
        if (!is_pooled_) return;
        kinds_.clear();
        types_.clear();
        schema_versions_.clear();
        content_types_.clear();
    }

    // Of the kinds in this statement, in the order of their numbers.
    const ArrayValue& types() const noexcept { return types_; }
    const ArrayValue& schema_versions() const noexcept { return schema_versions_; }
    const ArrayValue& content_types() const noexcept { return content_types_; }

private:
    struct Kind {
        std::string type;
        unsigned schema_version;
        std::string content_type;
        std::int32_t number;
    };

    bool is_pooled_;
    Statement select_;
    std::vector<Kind> kinds_; ///< few: searched one by one
    ArrayValue types_{type_id::text};
    ArrayValue schema_versions_{type_id::int8};
    ArrayValue content_types_{type_id::text};
};

} // namespace escqrs::inline v0::postgres::detail
