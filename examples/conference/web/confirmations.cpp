// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "confirmations.hpp"

#include "../http/problem.hpp"

#include <boost/json/object.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <utility>

namespace conference::web {

Confirmation find_confirmation(AttendeeQueries& queries, escqrs::AnyEventStore& store, const ConfirmationId& id)
{
    if (const auto attendee = queries.attendee_of(id)) {
        auto changes = email_changes(store, *attendee);
        const auto found = std::ranges::find(changes, id, &EmailChange::confirmation_id);
        if (found != changes.end()) return {*attendee, std::move(*found)};
    }
    throw http::RequestRefused{{404, "unknown-confirmation", "There is no request with this confirmation id.", {}, {}}};
}

boost::json::object to_json(const EmailChange& change)
{
    constexpr std::array<std::string_view, 4> states{"pending", "confirmed", "replaced", "ended"};
    return {{"email", change.email}, {"state", states.at(static_cast<std::size_t>(change.state))}};
}

} // namespace conference::web
