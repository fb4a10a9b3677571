// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../read_model/database.hpp"

#include <escqrs/events/event_bus.hpp>
#include <escqrs/store/any_event_store.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

namespace conference {

/// Builds the read model anew from the log, up to the log's present end.
///
/// All of it is one transaction: until it is committed, queries see the old read model and other workers wait; whatever ends
/// this before leaves the old one as it was. Every event is published as a replay, so that no mail is owed for it; mails that
/// the old read model owes still are. What the queue delivers of these events later is a duplicate.
/// @param read_model  a connection of the caller's
/// @param bus         its subscribers write to `read_model`
/// @param on_event    called after each event, with the number of events until then
/// @return the number of events; nothing if stopped
/// @throws StoreError if the log has no events, though the read model has; what store, read model and subscribers throw
std::optional<std::uint64_t> rebuild_read_model(
    escqrs::AnyEventStore& store, const read_model::DatabaseRef& read_model, escqrs::EventBus& bus,
    const std::stop_token& stop = {}, const std::function<void(std::uint64_t)>& on_event = [](std::uint64_t) {});

/// Moves an SQLite file away that is damaged, with what belongs to it, so that a new one can take its place. Nothing is lost
/// by that but what is known of mails: those that were not sent yet never are.
/// @param place  path of an SQLite file; anything else is left alone
/// @return where it is now; nothing if it is in order, or not there
/// @throws std::filesystem::filesystem_error
std::optional<std::string> move_away_if_damaged(const std::string& place);

} // namespace conference
