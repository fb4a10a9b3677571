// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "attendee_view.hpp"
#include "database.hpp"
#include "progress.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace conference {

/// One page of attendees in order of registration; `next` is to be given back for the page after it.
struct AttendeePage {
    std::vector<AttendeeView> attendees;
    std::optional<std::string> next;
};

/// How many there are in all.
struct AttendeeCounts {
    std::uint64_t attendees = 0;
    std::uint64_t registered = 0; ///< of them, those who have not given their seat back
};

/// A change of address that a mail asks to confirm. Never show the attendee's id, which is the key to the registration, to the
/// person who opens the mail's link: that may be a stranger.
struct ConfirmationRequest {
    AttendeeId attendee_id;
    ConfirmationId confirmation_id;
    std::string email;
};

/// Questions to the read model. Creates its tables if the file is new, so web and worker may start in any order.
/// @par Thread safety  every operation may be called from any thread
class AttendeeQueries {
public:
    /// @param path     of an SQLite file, or the address of a PostgreSQL database
    /// @param give_up  when it is requested, nothing waits for a server for longer than a second
    /// @throws escqrs::StoreError if that cannot be opened or is not a read model of this version
    explicit AttendeeQueries(const std::string& path, std::stop_token give_up = {});
    ~AttendeeQueries();

    std::optional<AttendeeView> find(const AttendeeId& id);

    /// What it confirms, or has confirmed.
    std::optional<ConfirmationRequest> confirmation_request(const ConfirmationId& id);

    /// At most `limit` (at least 1) attendees behind `after`, a cursor that an earlier page gave; empty: from the start.
    /// @throws std::invalid_argument if `after` is not such a cursor
    AttendeePage list(std::size_t limit, const std::string& after);

    AttendeeCounts count();

    /// How far the read model has come. Streams are handled in parallel, so an older event of another attendee than the newest one
    /// may still be on its way; an attendee's own place is `AttendeeView::position`.
    read_model::ProgressFigures progress();

    /// Why the read model must be built anew, if a worker has found that it lacks events.
    std::optional<std::string> gap();

    /// Why a question that could not be answered, the last such one, still cannot be. Puts it again.
    std::optional<std::string> problem();

    static constexpr std::size_t max_changes = 10'000; ///< in one answer

    /// The first attendees changed since `revision`, a number earlier calls gave (0: since ever), which is moved on; or back, to that of
    /// a read model that has taken the place of a lost one.
    std::vector<AttendeeView> changed_since(std::uint64_t& revision);

    /// Revision of the newest change.
    std::uint64_t revision();

    const std::string& path() const noexcept;

    /// Another connection, as the queries have them.
    read_model::Database open_database() const;

private:
    class Implementation;
    std::unique_ptr<Implementation> implementation_;
};

} // namespace conference
