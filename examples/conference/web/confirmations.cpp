// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "confirmations.hpp"

#include <boost/json/object.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <utility>

namespace conference::web {

UnknownConfirmation::UnknownConfirmation()
    : RequestRefused{{404, "unknown-confirmation", "There is no request with this confirmation id.", {}, {}}}
{
}

ConfirmationRequest find_request(AttendeeQueries& queries, const ConfirmationId& id)
{
    auto request = queries.confirmation_request(id);
    if (!request) throw UnknownConfirmation{};
    return *std::move(request);
}

EmailChange find_change(escqrs::AnyEventStore& store, const ConfirmationRequest& request)
{
    auto changes = email_changes(store, request.attendee_id);
    const auto found = std::ranges::find(changes, request.confirmation_id, &EmailChange::confirmation_id);
    if (found == changes.end()) throw UnknownConfirmation{};
    return std::move(*found);
}

boost::json::object to_json(const EmailChange& change)
{
    constexpr std::array<std::string_view, 4> states{"pending", "confirmed", "replaced", "ended"};
    return {{"email", change.email}, {"state", states.at(static_cast<std::size_t>(change.state))}};
}

} // namespace conference::web
