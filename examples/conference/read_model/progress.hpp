// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "database.hpp"

#include <escqrs/core/identifiers.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace conference::read_model {

/// How far the read model has come. Numbers of events.
struct ProgressFigures {
    escqrs::GlobalPosition position; ///< of the newest event handled
    std::uint64_t events = 0;        ///< handled so far, each once
    /// Dead letters so far; one that was resubmitted in vain counts again.
    std::uint64_t dead_lettered = 0;
};

/// What the read model says of itself: how many events it has handled, and whether it lacks some that will not come
/// again.
/// @par Thread safety  as its database: one thread at a time
class Progress {
public:
    explicit Progress(const DatabaseRef& database);

    ProgressFigures figures();

    /// Why the read model must be built anew; nothing if all that is known speaks for it.
    std::optional<std::string> gap();

    // To be called within a `Transaction`.
    void add_events(std::uint64_t count);
    void add_dead_lettered(std::uint64_t count);
    void report_gap(std::string_view reason);

    /// As in a new read model. Revisions continue, so that followers of the changes see what comes.
    void restart();

private:
    Statement select_;
    Statement add_events_;
    Statement add_dead_lettered_;
    Statement report_gap_;
    Statement restart_;
};

} // namespace conference::read_model
