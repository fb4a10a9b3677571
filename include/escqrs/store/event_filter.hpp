// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace escqrs::inline v0 {

/// Selects the events that a read of the log shows. A plain value, so that a store can apply it where the events are
/// kept.
///
/// An event is shown if its stream's category is one of `categories` and its type one of `types`; an empty list matches
/// everything.
struct EventFilter {
    std::vector<std::string> categories{}; ///< of streams: `attendee`
    std::vector<std::string> types{};      ///< event names: `AttendeeRegistered`

    bool matches_everything() const noexcept { return categories.empty() && types.empty(); } ///< both lists are empty

    /// True if an event of this type, in a stream of this category, is shown.
    bool matches(std::string_view category, std::string_view type) const
    {
        return is_in(categories, category) && is_in(types, type);
    }

    friend bool operator==(const EventFilter&, const EventFilter&) = default;

private:
    static bool is_in(const std::vector<std::string>& wanted, std::string_view found)
    {
        return wanted.empty() || std::ranges::find(wanted, found) != wanted.end();
    }
};

} // namespace escqrs::inline v0
