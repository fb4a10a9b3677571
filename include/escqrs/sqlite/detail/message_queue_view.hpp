// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/messaging/message_queue.hpp>
#include <escqrs/sqlite/database.hpp>
#include <escqrs/sqlite/detail/message_queue_codec.hpp>
#include <escqrs/sqlite/detail/message_queue_sql.hpp>
#include <escqrs/sqlite/detail/message_queue_time.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace escqrs::inline v0::sqlite::detail {

/// Looks at the tables of a queue, on its own connection.
/// @par Thread safety  as the database: one thread at a time
class MessageQueueView {
public:
    /// What a receiver must know before it waits.
    struct State {
        std::int64_t version = 0; ///< differs after any change of the file
        bool can_take = false;    ///< something is available
        /// Else, when time alone will make something available.
        NextChange next_change{};
    };

    explicit MessageQueueView(Database& database) : database_{&database} {}

    std::int64_t version()
    {
        auto rows = version_.query();
        return rows.next() ? rows.integer(0) : 0;
    }

    State state()
    {
        State state{.version = version()}; // first, so that what changes meanwhile is not overlooked
        if (auto rows = can_take_.query(); rows.next()) state.can_take = rows.integer(0) != 0;
        if (!state.can_take) state.next_change = next_change();
        return state;
    }

    NextChange next_change() { return read_next_change(next_change_); }

    std::vector<DeadLetteredMessage> dead_letters(std::uint64_t after, std::size_t at_most)
    {
        std::vector<DeadLetteredMessage> found;
        for (auto rows = dead_letters_.query(as_number(after), as_number(at_most)); rows.next();) {
            found.push_back({.message = decode_message(rows, 3),
                             .sequence_number = static_cast<std::uint64_t>(rows.integer(0)),
                             .delivery_count = static_cast<std::uint32_t>(rows.integer(1)),
                             .enqueued_at = rows.time(2),
                             .dead_lettered_at = rows.time(11),
                             .reason = std::string{rows.text(12)},
                             .description = std::string{rows.text(13)}});
        }
        return found;
    }

    MessageQueueCounts counts()
    {
        auto rows = counts_.query();
        if (!rows.next()) return {};
        const auto count = [&](int column) { return static_cast<std::uint64_t>(rows.integer(column)); };
        return {.active = count(0) - count(4),
                .locked = count(1) + count(4),
                .scheduled = count(2),
                .dead_lettered = count(3)};
    }

private:
    Database* database_;
    Statement version_{*database_, queue_sql::data_version};
    Statement can_take_{*database_, queue_sql::can_take};
    Statement next_change_{*database_, queue_sql::next_change};
    Statement dead_letters_{*database_, queue_sql::dead_letters};
    Statement counts_{*database_, queue_sql::counts};
};

} // namespace escqrs::inline v0::sqlite::detail
