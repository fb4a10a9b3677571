// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/postgres/schema.hpp>
#include <escqrs/store/event_filter.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

namespace escqrs::inline v0::postgres::detail {

/// What to ask the server for a page of events.
struct PageRequest {
    std::string query;
    int columns;         ///< of each row
    std::size_t at_most; ///< rows
    /// Position up to which a page of the log looks.
    std::uint64_t end;
};

/// Where a page has ended.
struct PageEnd {
    /// There was nothing more, in a page of the log up to `end`.
    bool is_last = true;
    /// Position up to which a page of the log looked; 0 if there was nothing to read.
    std::uint64_t end = 0;
};

/// What `filter` matches, as the rest of an SQL condition on events `e` and their streams `s`.
///
/// There is no index by kind: it would cost every append, and a read that matches more than a few events is faster by
/// position.
inline std::string condition_of(const EventFilter& filter, const std::string& schema)
{
    std::string sql;
    if (!filter.types.empty()) {
        sql += " AND e.kind = ANY (ARRAY(SELECT id FROM " + schema + ".event_kinds WHERE type IN (";
        for (const std::string& type : filter.types) sql.append(literal(type)).append(1, ',');
        sql.back() = ')';
        sql += "))";
    }
    if (!filter.categories.empty()) {
        sql += " AND (false";
        for (const std::string& category : filter.categories) {
            if (category.empty() || category.find('-') != std::string::npos) continue; // no stream has such a category
            // All that begins with "category-": '.' follows '-' in ASCII, and the column sorts by bytes.
            sql += " OR (s.name >= " + literal(category + '-') + " AND s.name < " + literal(category + '.') + ')';
        }
        sql += ')';
    }
    return sql;
}

} // namespace escqrs::inline v0::postgres::detail
