// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/postgres/connection_pool.hpp>
#include <escqrs/postgres/detail/event_log_session.hpp>
#include <escqrs/postgres/detail/event_page.hpp>

#include <memory>
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

    /// Reads a page: the one that was begun, if this is it.
    /// @param make_request  called as `make_request(session)`
    /// @return whether there was nothing more behind it
    template <class MakeRequest>
    bool read(MakeRequest make_request, EventPage& page)
    {
        if (std::exchange(is_begun_, false)) {
            try {
                return loan_->session().receive(request_, page);
            } catch (const ConnectionLost&) {
                loan_.reset();
                throw;
            }
        }
        return sessions_->with_one([&](EventLogSession& session) {
            const PageRequest request = make_request(session);
            session.begin(request);
            return session.receive(request, page);
        });
    }

    /// Has the server begin with the page that is to be read next.
    template <class MakeRequest>
    void begin(MakeRequest make_request)
    {
        if (!loan_) loan_ = sessions_->try_borrow();
        if (!loan_) return;
        request_ = make_request(loan_->session());
        is_begun_ = true;
        try {
            loan_->session().begin(request_);
        } catch (const ConnectionLost&) { // NOLINT(bugprone-empty-catch): so it is when the page is read
        }
    }

private:
    ConnectionPool<EventLogSession>* sessions_;
    std::unique_ptr<ConnectionPool<EventLogSession>::Loan> loan_;
    PageRequest request_{};
    bool is_begun_ = false;
};

} // namespace escqrs::postgres::detail
