// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/postgres/connection_pool.hpp>
#include <escqrs/postgres/detail/event_log_session.hpp>
#include <escqrs/postgres/detail/event_page.hpp>

#include <memory>
#include <optional>
#include <utility>

namespace escqrs::postgres::detail {

/// Reads pages one after the other; the server sends the next one while this one is being shown, if there is a connection to
/// spare.
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
    /// @param make_request  called as `make_request(session)`; gives a `PageRequest`, or nothing if there is nothing to ask for
    template <class MakeRequest>
    PageEnd read(MakeRequest make_request, EventPage& page)
    {
        if (std::exchange(is_begun_, false)) {
            try {
                return loan_->session().receive(request_, page);
            } catch (const DatabaseError& error) {
                if (!error.is_passing()) throw;
                loan_.reset(); // while the other page was shown, the connection was lost, or the server's patience
            }
        }
        return sessions_->with_one([&](EventLogSession& session) -> PageEnd {
            const std::optional<PageRequest> request = make_request(session);
            if (!request) return {};
            session.begin(*request);
            return session.receive(*request, page);
        });
    }

    /// Has the server begin with the page that is to be read next, if there is a connection to spare.
    template <class MakeRequest>
    void begin(MakeRequest make_request)
    {
        if (!loan_) loan_ = sessions_->try_borrow();
        if (!loan_) return;
        try {
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

} // namespace escqrs::postgres::detail
