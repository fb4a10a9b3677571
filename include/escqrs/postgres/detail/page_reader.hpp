// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/postgres/connection_pool.hpp>
#include <escqrs/postgres/detail/event_log_session.hpp>
#include <escqrs/postgres/detail/event_page.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace escqrs::inline v0::postgres::detail {

/// The last event that was read so far. What follows may be read on another connection, and after a failover that may
/// lead to a server that has lost the end of the log: a reader that continued after an event that is not there would
/// skip others.
/// @par Thread safety  none
class LastRead {
public:
    /// @param position  after which reading begins
    explicit LastRead(std::uint64_t position = 0) noexcept : position_{position} {}

    void set(const EventPage& page, std::size_t index)
    {
        id_ = page.id(index);
        position_ = page.position(index);
    }

    std::uint64_t position() const noexcept { return position_; }

    /// Call it for each session before it reads.
    /// @return whether it may read from another server than the previous one
    /// @throws StoreError if its log does not hold the event at its position
    bool check(EventLogSession& session)
    {
        const std::uint64_t connection = session.connected_as();
        if (connection != 0 && connection == connection_) return false;
        if (id_) {
            const auto found = session.locate(*id_);
            if (!found || found->position.value() != position_) refuse(found);
        }
        connection_ = connection;
        return true;
    }

private:
    [[noreturn]] void refuse(const std::optional<EventLocation>& found) const
    {
        throw StoreError{"postgres: the log has changed while it was read: expected event " + to_string(*id_) +
                         " at position " + std::to_string(position_) + ", found it " +
                         (found ? "at " + std::to_string(found->position.value()) : "nowhere")};
    }

    std::optional<EventId> id_;
    std::uint64_t position_;
    std::uint64_t connection_ = 0; ///< on which the event was last found
};

/// Reads pages one after the other; the server sends the next one while this one is being shown, if a connection is
/// free.
/// @par Thread safety  none
class PageReader {
public:
    explicit PageReader(ConnectionPool<EventLogSession>& sessions) : sessions_{&sessions} {}
    PageReader(const PageReader&) = delete;
    PageReader& operator=(const PageReader&) = delete;
    ~PageReader()
    {
        if (is_begun_) loan_->session().abandon();
    }

    /// Reads a page: the one that was begun, if there is one.
    /// @param make_request  called as `make_request(session)`; returns a `PageRequest`, or nothing if there is nothing
    ///                      to read
    template <class MakeRequest>
    PageEnd read(MakeRequest make_request, EventPage& page, const CallLimit& limit)
    {
        if (std::exchange(is_begun_, false)) {
            try {
                loan_->set_limit(limit);
                return loan_->session().receive(request_, page);
            } catch (const DatabaseError& error) {
                if (!error.is_passing()) throw;
                loan_.reset(); // while the other page was shown, the connection was lost, or the server's patience
            }
        }
        const auto read_now = [&](EventLogSession& session) -> PageEnd {
            const std::optional<PageRequest> request = make_request(session);
            if (!request) return {};
            session.begin(*request);
            return session.receive(*request, page);
        };
        return sessions_->with_one(read_now, limit);
    }

    /// Lets the server begin with the next page, if a connection is free.
    template <class MakeRequest>
    void begin(MakeRequest make_request, const CallLimit& limit)
    {
        if (!loan_) loan_ = sessions_->try_borrow();
        if (!loan_) return;
        try {
            loan_->set_limit(limit);
            const std::optional<PageRequest> request = make_request(loan_->session());
            if (!request) return;
            loan_->session().begin(*request);
            request_ = *request;
            is_begun_ = true;
        } catch (const DatabaseError&) { // it is read when it is needed
            loan_.reset();
        }
    }

private:
    ConnectionPool<EventLogSession>* sessions_;
    std::unique_ptr<ConnectionPool<EventLogSession>::Loan> loan_;
    PageRequest request_{};
    bool is_begun_ = false;
};

} // namespace escqrs::inline v0::postgres::detail
