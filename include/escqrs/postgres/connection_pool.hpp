// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/detail/check_option.hpp>
#include <escqrs/postgres/connection.hpp>

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace escqrs::postgres {

/// Connections to one database for many threads, each opened when there is need of it and kept; at most a fixed number. Who
/// comes when all are in use waits for one.
///
/// `Session` is what each connection carries with it, such as prepared statements.
/// @par Thread safety  may be called from any thread
template <class Session>
class ConnectionPool {
    struct Entry {
        explicit Entry(const ConnectionPool& pool)
            : connection{pool.address_, pool.options_}, session{pool.open_session_(connection)}
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
        : address_{std::move(address)}, options_{options}, at_most_{at_most}, open_session_{std::move(open_session)}
    {
        escqrs::detail::check_at_least(1, at_most, "at_most");
    }

    /// Calls `use(session)`; nothing in there may take another one. If that loses its connection, the idle ones are closed as
    /// well: they are likely to be lost, and each could take its `answer_timeout` to find that out.
    template <class Use>
    auto with_one(Use use)
    {
        struct Turn {
            explicit Turn(ConnectionPool& from) : pool{from}, entry{from.take()} {}
            Turn(const Turn&) = delete;
            Turn& operator=(const Turn&) = delete;
            ~Turn() { pool.give_back(std::move(entry), false); }

            ConnectionPool& pool;
            std::unique_ptr<Entry> entry;
        };
        const Turn turn{*this};
        try {
            return use(turn.entry->session);
        } catch (const ConnectionLost&) {
            close_idle();
            throw;
        }
    }

    /// A session that stays with its holder, and goes back when this ends.
    class Loan {
    public:
        Session& session() noexcept { return entry_->session; }

        Loan(const Loan&) = delete;
        Loan& operator=(const Loan&) = delete;
        ~Loan() { pool_->give_back(std::move(entry_), true); }

    private:
        friend ConnectionPool;
        Loan(ConnectionPool& pool, std::unique_ptr<Entry> entry) noexcept : pool_{&pool}, entry_{std::move(entry)} {}

        ConnectionPool* pool_;
        std::unique_ptr<Entry> entry_;
    };

    /// A session that is idle now, to be kept for long. One that can be opened is always left to those who need one briefly,
    /// so that a holder may wait for another one.
    /// @return nothing if there is none to spare
    std::unique_ptr<Loan> try_borrow();

private:
    std::unique_ptr<Entry> take();
    void close_idle() noexcept;
    void give_back(std::unique_ptr<Entry> entry, bool was_lent) noexcept;

    std::string address_;
    ConnectionOptions options_;
    std::size_t at_most_;
    std::function<Session(Connection&)> open_session_;

    std::mutex mutex_;
    std::condition_variable returned_;
    std::vector<std::unique_ptr<Entry>> idle_;
    std::size_t open_ = 0;
    std::size_t lent_ = 0;
};

template <class Session>
std::unique_ptr<typename ConnectionPool<Session>::Entry> ConnectionPool<Session>::take()
{
    std::unique_lock lock{mutex_};
    returned_.wait(lock, [&] { return !idle_.empty() || open_ < at_most_; });
    if (!idle_.empty()) {
        auto entry = std::move(idle_.back());
        idle_.pop_back();
        return entry;
    }
    idle_.reserve(open_ + 1);
    ++open_;
    lock.unlock();
    try {
        return std::make_unique<Entry>(*this);
    } catch (...) {
        give_back(nullptr, false);
        throw;
    }
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

/// One that was lost is closed, and its place is free for another.
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

} // namespace escqrs::postgres
