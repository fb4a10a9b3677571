// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/clock.hpp>
#include <escqrs/detail/check_option.hpp>
#include <escqrs/postgres/lease.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace escqrs::postgres {

namespace detail {

/// Work that is done in a thread of its own as long as a lease is held.
/// @par Thread safety  none; `work` runs in its own thread
class LeasedWork {
public:
    using Work = std::function<void(const Lease&, std::stop_token)>;

    LeasedWork(Connection& connection, std::string name, const LeaseOptions& options, Clock& clock, Work work)
        : lease_{connection, std::move(name), options}, clock_{&clock}, work_{std::move(work)}
    {
    }
    LeasedWork(const LeasedWork&) = delete;
    LeasedWork& operator=(const LeasedWork&) = delete;

    bool is_begun() const noexcept { return thread_.joinable(); }
    bool is_stopping() const { return is_begun() && thread_.get_stop_token().stop_requested(); }

    /// Whether the work has returned by itself.
    bool is_finished() const noexcept { return is_finished_; }

    /// Takes the lease if it is to be had, and begins.
    void try_begin();

    /// To be called several times in the lease's duration: renews it, and has the work stop if that fails; clears up behind
    /// work that has ended, and lets others have the lease.
    /// @throws what `work` threw
    void tend();

    void request_stop() { thread_.request_stop(); }

    /// Waits until the work has ended.
    void join()
    {
        if (!is_begun()) return;
        thread_.join();
        clear_up();
    }

private:
    enum class State : std::uint8_t { works, has_returned, has_lost_the_lease, has_failed };

    void run(const std::stop_token& stop) noexcept;
    void renew();
    void clear_up();

    Lease lease_;
    Clock* clock_;
    Work work_;
    Timestamp held_until_{}; ///< by this process's clock, at the least
    bool is_finished_ = false;
    std::exception_ptr failure_; ///< before `state_` tells of it
    std::atomic<State> state_{State::works};
    std::jthread thread_; ///< the first to go
};

inline void LeasedWork::try_begin()
{
    const Timestamp asked = clock_->now();
    if (!lease_.acquire()) return;
    held_until_ = asked + lease_.options().duration;
    state_ = State::works;
    thread_ = std::jthread{[this](const std::stop_token& stop) { run(stop); }};
}

inline void LeasedWork::run(const std::stop_token& stop) noexcept
{
    try {
        work_(lease_, stop);
        state_ = State::has_returned;
    } catch (const LeaseLost&) {
        state_ = State::has_lost_the_lease;
    } catch (...) {
        failure_ = std::current_exception();
        state_ = State::has_failed;
    }
}

inline void LeasedWork::tend()
{
    if (!is_begun()) return;
    if (state_ == State::works) return renew();
    thread_.join();
    clear_up();
}

inline void LeasedWork::renew()
{
    const Timestamp asked = clock_->now();
    bool is_held = false;
    try {
        is_held = lease_.acquire();
        if (is_held) held_until_ = asked + lease_.options().duration;
    } catch (const StoreError&) {
        is_held = asked < held_until_; // the server may be back in time
    }
    if (!is_held) request_stop();
}

inline void LeasedWork::clear_up()
{
    is_finished_ = state_ == State::has_returned && !thread_.get_stop_token().stop_requested();
    thread_ = {};
    try {
        lease_.release();
    } catch (const StoreError&) { // NOLINT(bugprone-empty-catch): it runs out
    }
    if (state_ == State::has_failed) std::rethrow_exception(failure_);
}

/// How often in its duration a lease is renewed.
inline constexpr int renewals = 4;

} // namespace detail

/// Does `work(lease, stop)` whenever, and as long as, this process holds the lease of that name: of any number of processes that
/// call this, one works. When it ends or dies, another takes over, at the latest when the lease has run out.
///
/// `work` is to return soon when it is asked to stop: then it has lost the lease, or is to end. What it writes with a
/// `Checkpoint` that knows the lease cannot get in the way of its successor, even if it does not notice.
/// @param connection  used for the lease only
/// @return when stopped, or when `work` has returned by itself
/// @throws what `work` threw, but for LeaseLost and what is passing (`DatabaseError::is_passing`): then it is begun again, here
///         or elsewhere. DatabaseError if the lease cannot be acquired, and that is not passing
template <class Work>
void run_leased(Connection& connection, const std::string& name, std::stop_token stop, Work work,
                const LeaseOptions& options = {}, Clock& clock = system_clock())
{
    detail::LeasedWork leased{connection, name, options, clock, std::move(work)};
    while (!stop.stop_requested() && !leased.is_finished()) {
        try {
            leased.tend();
            if (!leased.is_begun() && !leased.is_finished()) leased.try_begin();
        } catch (const DatabaseError& error) {
            if (!error.is_passing()) throw;
        }
        sleep_for(clock, options.duration / detail::renewals, stop);
    }
    leased.request_stop();
    leased.join();
}

/// Which of `shards` a stream belongs to; the same in every process and release.
inline std::size_t shard_of(const StreamId& stream, std::size_t shards) noexcept
{
    std::uint64_t hash = 0xCBF29CE484222325U; // FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/
    for (const char character : stream.text()) hash = (hash ^ static_cast<unsigned char>(character)) * 0x100000001B3U;
    hash = (hash ^ hash >> 33U) * 0xFF51AFD7ED558CCDU; // names that differ in the end only, spread over all bits
    return static_cast<std::size_t>(hash >> 33U) % shards;
}

/// Does `work(shard, lease, stop)` for shards 0 to `shards` - 1, spread evenly over all processes that call this with the same
/// name: each shard is worked on by one of them at a time. When a process comes or goes, the shards are spread anew.
///
/// `work` as for `run_leased`; each shard has a lease of its own, and is to have a checkpoint and a connection of its own.
/// @param connection  used for the leases only
/// @return when stopped
template <class Work>
void run_sharded(Connection& connection, const std::string& name, std::size_t shards, std::stop_token stop, Work work,
                 const LeaseOptions& options = {}, Clock& clock = system_clock());

namespace detail {

/// The shards of one process.
class ShardedWork {
public:
    template <class Work>
    ShardedWork(Connection& connection, const std::string& name, std::size_t shards, Work work,
                const LeaseOptions& options, Clock& clock)
        : members_{name + "/worker/"}, membership_{connection, members_ + options.holder, options},
          select_members_{connection, with_schema("SELECT holder FROM {s}.leases WHERE starts_with(name, $1) AND "
                                                  "expires_at >= clock_timestamp() ORDER BY holder",
                                                  options.schema)}
    {
        escqrs::detail::check_at_least(1, shards, "shards");
        for (std::size_t shard = 0; shard < shards; ++shard) {
            shards_.push_back(std::make_unique<LeasedWork>(
                connection, name + '/' + std::to_string(shard), options, clock,
                [work, shard](const Lease& lease, std::stop_token stop) { work(shard, lease, std::move(stop)); }));
        }
    }

    /// Renews what is held, gives away what is too much, takes what is missing.
    void tend()
    {
        for (auto& shard : shards_) shard->tend();
        (void)membership_.acquire();
        std::size_t wanted = share();
        for (auto& shard : shards_) {
            if (!shard->is_begun() || shard->is_stopping()) continue;
            if (wanted == 0) shard->request_stop();
            else --wanted;
        }
        for (auto& shard : shards_) {
            if (wanted == 0) return;
            if (shard->is_begun()) continue;
            shard->try_begin();
            if (shard->is_begun()) --wanted;
        }
    }

    void end()
    {
        for (auto& shard : shards_) shard->request_stop();
        for (auto& shard : shards_) shard->join();
        membership_.release();
    }

private:
    /// How many shards this process is to have, going by those who are alive.
    std::size_t share()
    {
        auto rows = select_members_.query(members_);
        const std::size_t members = std::max<std::size_t>(rows.size(), 1);
        std::size_t rank = 0;
        while (rows.next() && rows.text(0) != membership_.options().holder) ++rank;
        return shards_.size() / members + (rank < shards_.size() % members ? 1 : 0);
    }

    std::string members_;
    Lease membership_;
    Statement select_members_;
    std::vector<std::unique_ptr<LeasedWork>> shards_;
};

} // namespace detail

template <class Work>
void run_sharded(Connection& connection, const std::string& name, std::size_t shards, std::stop_token stop, Work work,
                 const LeaseOptions& options, Clock& clock)
{
    detail::ShardedWork sharded{connection, name, shards, std::move(work), options, clock};
    while (!stop.stop_requested()) {
        try {
            sharded.tend();
        } catch (const DatabaseError& error) {
            if (!error.is_passing()) throw;
        }
        sleep_for(clock, options.duration / detail::renewals, stop);
    }
    sharded.end();
}

} // namespace escqrs::postgres
