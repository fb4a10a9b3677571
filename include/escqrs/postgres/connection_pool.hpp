// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/check_option.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/postgres/connection.hpp>
#include <escqrs/postgres/detail/answer_limit.hpp>
#include <escqrs/postgres/detail/connection_string.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace escqrs::inline v0::postgres {

/// Connections to one database for many threads, each opened when it is needed and kept; at most a fixed number. A
/// caller that finds all of them in use waits for one.
///
/// `Session` is a connection with what belongs to it, such as prepared statements.
/// @par Thread safety  may be called from any thread
template <class Session>
class ConnectionPool {
    struct Entry {
        Entry(const ConnectionPool& pool, const detail::CallLimit& limit)
            : connection{pool.address_, pool.options_of(limit), least_end(limit)},
              session{pool.open_session_(connection)}
        {
        }
        Connection connection;
        Session session;
    };

public:
    /// @param open_session  called for each connection that is made
    /// @throws InvalidOption
    ConnectionPool(std::string address, ConnectionOptions options, std::size_t at_most,
                   std::function<Session(Connection&)> open_session)
        : address_{std::move(address)}, options_{std::move(options)}, at_most_{at_most},
          open_session_{std::move(open_session)}
    {
        escqrs::detail::check_at_least(1, at_most, "at_most");
    }

    /// Calls `use(session)`, which must not take another session. If it loses its connection, the idle ones are closed
    /// as well: they are likely to be lost, and each could take its `answer_timeout` to find that out.
    /// @param limit  of the whole call, except that the server has a second at least once there is a connection
    /// @throws ConnectionLost also if no connection became free in time
    template <class Use>
    auto with_one(Use use, const detail::CallLimit& limit = {})
    {
        struct Turn {
            Turn(ConnectionPool& from, const detail::CallLimit& limit) : pool{from}, entry{from.take(limit)} {}
            Turn(const Turn&) = delete;
            Turn& operator=(const Turn&) = delete;
            ~Turn() { pool.give_back(std::move(entry), false); }

            ConnectionPool& pool;
            std::unique_ptr<Entry> entry;
        };
        const Turn turn{*this, limit};
        try {
            return use(turn.entry->session);
        } catch (const ConnectionLost&) {
            close_idle();
            throw;
        }
    }

    /// A session that stays with its holder; the destructor gives it back.
    class Loan {
    public:
        Session& session() noexcept { return entry_->session; } ///< valid until the loan ends

        /// Limits the time of what the session does, until the next call.
        void set_limit(const detail::CallLimit& limit) { pool_->set_limit(entry_->connection, limit); }

        Loan(const Loan&) = delete;
        Loan& operator=(const Loan&) = delete;
        ~Loan() { pool_->give_back(std::move(entry_), true); }

    private:
        friend ConnectionPool;
        Loan(ConnectionPool& pool, std::unique_ptr<Entry> entry) noexcept : pool_{&pool}, entry_{std::move(entry)} {}

        ConnectionPool* pool_;
        std::unique_ptr<Entry> entry_;
    };

    /// A session that is idle now, to be kept for long. One that can still be opened is always left to callers that
    /// need it briefly, so that a holder may wait for another one.
    /// @return nothing if there is none to spare
    std::unique_ptr<Loan> try_borrow();

private:
    std::unique_ptr<Entry> take(const detail::CallLimit& limit);
    std::unique_ptr<Entry> wait_for_entry(const detail::CallLimit& limit);
    static detail::CallLimit::Time least_end(const detail::CallLimit& limit);
    ConnectionOptions options_of(const detail::CallLimit& limit) const;
    void set_limit(Connection& connection, const detail::CallLimit& limit) const;
    void close_idle() noexcept;
    void give_back(std::unique_ptr<Entry> entry, bool was_lent) noexcept;

    std::string address_;
    ConnectionOptions options_;
    std::size_t at_most_;
    std::function<Session(Connection&)> open_session_;

    std::mutex mutex_;
    condition_variable_any returned_;
    std::vector<std::unique_ptr<Entry>> idle_;
    std::size_t open_ = 0;
    std::size_t lent_ = 0;
};

/// An answer that is under way gets a second at least.
template <class Session>
detail::CallLimit::Time ConnectionPool<Session>::least_end(const detail::CallLimit& limit)
{
    if (limit.end == detail::CallLimit::Time::max()) return limit.end;
    return std::max(limit.end, std::chrono::steady_clock::now() + std::chrono::seconds{1});
}

template <class Session>
ConnectionOptions ConnectionPool<Session>::options_of(const detail::CallLimit& limit) const
{
    ConnectionOptions options = options_;
    if (limit.stop.stop_possible()) options.stop = limit.stop;
    return options;
}

template <class Session>
void ConnectionPool<Session>::set_limit(Connection& connection, const detail::CallLimit& limit) const
{
    connection.set_end(least_end(limit));
    connection.set_stop(limit.stop.stop_possible() ? limit.stop : options_.stop);
}

template <class Session>
std::unique_ptr<typename ConnectionPool<Session>::Entry> ConnectionPool<Session>::take(const detail::CallLimit& limit)
{
    auto entry = wait_for_entry(limit);
    if (!entry) {
        try {
            entry = std::make_unique<Entry>(*this, limit);
        } catch (...) {
            give_back(nullptr, false);
            throw;
        }
    }
    set_limit(entry->connection, limit);
    return entry;
}

/// @return null if one may be opened
template <class Session>
std::unique_ptr<typename ConnectionPool<Session>::Entry>
ConnectionPool<Session>::wait_for_entry(const detail::CallLimit& limit)
{
    std::unique_lock lock{mutex_};
    const auto is_there = [&] { return !idle_.empty() || open_ < at_most_; };
    if (!is_there() && !returned_.wait_until(lock, limit.stop, limit.end, is_there)) {
        throw ConnectionLost{detail::place_of(address_), "waiting for a connection",
                             "each of the " + std::to_string(at_most_) + " connections was in use for too long", ""};
    }
    if (idle_.empty()) {
        idle_.reserve(open_ + 1);
        ++open_;
        return nullptr;
    }
    auto entry = std::move(idle_.back());
    idle_.pop_back();
    return entry;
}

template <class Session>
std::unique_ptr<typename ConnectionPool<Session>::Loan> ConnectionPool<Session>::try_borrow()
{
    const std::scoped_lock lock{mutex_};
    if (idle_.empty() || lent_ + 1 >= at_most_) return nullptr;
    std::unique_ptr<Loan> loan{new Loan{*this, std::move(idle_.back())}}; // NOLINT: its constructor is private
    idle_.pop_back();
    ++lent_;
    return loan;
}

/// A lost one is closed, and its place is free for another.
template <class Session>
void ConnectionPool<Session>::give_back(std::unique_ptr<Entry> entry, bool was_lent) noexcept
{
    if (entry && entry->connection.is_lost()) entry.reset();
    {
        const std::scoped_lock lock{mutex_};
        if (entry) idle_.push_back(std::move(entry)); // within its capacity
        else --open_;
        if (was_lent) --lent_;
    }
    returned_.notify_one();
}

template <class Session>
void ConnectionPool<Session>::close_idle() noexcept
{
    std::unique_lock lock{mutex_};
    while (!idle_.empty()) {
        std::unique_ptr<Entry> entry = std::move(idle_.back());
        idle_.pop_back();
        --open_;
        lock.unlock();
        entry.reset(); // it says goodbye to the server
        returned_.notify_one();
        lock.lock();
    }
}

} // namespace escqrs::inline v0::postgres
