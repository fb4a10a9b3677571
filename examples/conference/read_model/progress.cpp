// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "progress.hpp"

namespace conference::read_model {

Progress::Progress(const DatabaseRef& database)
    : select_{database, "SELECT position, events, dead_lettered, gap FROM progress"},
      add_events_{database, "UPDATE progress SET events = events + $1 WHERE only_row = 1"},
      add_dead_lettered_{database, "UPDATE progress SET dead_lettered = dead_lettered + $1 WHERE only_row = 1"},
      report_gap_{database, "UPDATE progress SET gap = $1 WHERE only_row = 1"},
      restart_{database,
               "UPDATE progress SET position = 0, events = 0, dead_lettered = 0, gap = NULL WHERE only_row = 1"}
{
}

ProgressFigures Progress::figures()
{
    auto row = select_.query();
    if (!row.next()) return {};
    const auto number = [&row](int column) { return static_cast<std::uint64_t>(row.integer(column)); };
    return {.position = escqrs::GlobalPosition{number(0)}, .events = number(1), .dead_lettered = number(2)};
}

std::optional<std::string> Progress::gap()
{
    auto row = select_.query();
    if (!row.next() || row.is_null(3)) return std::nullopt;
    return std::string{row.text(3)};
}

void Progress::add_events(std::uint64_t count) { add_events_.run(count); }
void Progress::add_dead_lettered(std::uint64_t count) { add_dead_lettered_.run(count); }
void Progress::report_gap(std::string_view reason) { report_gap_.run(reason); }
void Progress::restart() { restart_.run(); }

} // namespace conference::read_model
