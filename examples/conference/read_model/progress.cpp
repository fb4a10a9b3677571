// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "progress.hpp"

namespace conference::read_model {

Progress::Progress(DatabaseRef database)
    : select_{database, "SELECT events, gap FROM progress"},
      add_events_{database, "UPDATE progress SET events = events + $1 WHERE only_row = 1"},
      report_gap_{database, "UPDATE progress SET gap = $1 WHERE only_row = 1"},
      restart_{database, "UPDATE progress SET position = 0, events = 0, gap = NULL WHERE only_row = 1"}
{
}

std::uint64_t Progress::events()
{
    auto row = select_.query();
    return row.next() ? static_cast<std::uint64_t>(row.integer(0)) : 0;
}

std::optional<std::string> Progress::gap()
{
    auto row = select_.query();
    if (!row.next() || row.is_null(1)) return std::nullopt;
    return std::string{row.text(1)};
}

void Progress::add_events(std::uint64_t count) { add_events_.run(count); }
void Progress::report_gap(std::string_view reason) { report_gap_.run(reason); }
void Progress::restart() { restart_.run(); }

} // namespace conference::read_model
