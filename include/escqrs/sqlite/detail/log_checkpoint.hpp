// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/config.hpp>
#include <escqrs/sqlite/detail/file_hold.hpp>

#include <sqlite3.h>

#include <unistd.h>

namespace escqrs::inline v0::sqlite::detail {

/// The turn to write, and SQLite's write lock, taken without SQLite: while this is held, no process commits and no log
/// is begun anew.
class LogLock {
public:
    /// Tries `attempts` times, a tenth of a millisecond apart.
    LogLock(FileHold& hold, int attempts);
    LogLock(const LogLock&) = delete;
    LogLock& operator=(const LogLock&) = delete;
    ~LogLock();

    explicit operator bool() const noexcept { return is_held_; }

    /// True if a reader reads from the log, here or in another process.
    bool is_log_read() const noexcept { return holder_of(file_->index, reading_log).value_or(0) != 0; }

private:
    FileHold* hold_;
    HeldFile* file_;
    bool had_turn_;
    bool is_held_ = false;
};

/// Moves the log of a database into the file after a commit, so that a later commit begins it anew.
///
/// No process commits meanwhile: before SQLite 3.51.3 (3.50.7, 3.44.6) a commit that begins the log anew at that moment
/// can lose other commits (https://sqlite.org/wal.html#walresetbug).
/// @par Thread safety  as its database: one thread at a time
class LogCheckpoint {
public:
    /// From here on, writers and readers must wait.
    static constexpr int long_pages = 8192;

    /// @param pages  that the log holds
    void after_commit(sqlite3* handle, FileHold& hold, int pages) noexcept;

private:
    static constexpr int least_pages = 1000; ///< SQLite's default

    int long_at_ = long_pages;
};

#if ESCQRS_HAS_BODIES

ESCQRS_INLINE LogLock::LogLock(FileHold& hold, int attempts)
    : hold_{&hold}, file_{hold.file_}, had_turn_{hold.has_turn()}
{
    if (!hold.is_locked_) return;
    do {
        is_held_ = hold.try_turn() && try_lock(file_->index, writing);
    } while (!is_held_ && --attempts > 0 && ::usleep(100) == 0);
}

ESCQRS_INLINE LogLock::~LogLock()
{
    if (is_held_) unlock(file_->index, writing);
    if (!had_turn_) hold_->end_turn();
}

ESCQRS_INLINE void LogCheckpoint::after_commit(sqlite3* handle, FileHold& hold, int pages) noexcept
{
    if (pages < least_pages) {
        long_at_ = long_pages;
        return;
    }
    const bool is_long = pages >= long_at_;
    const LogLock lock{hold, is_long ? 1000 : 1};
    if (!lock) return; // the next commit tries again
    int moved = 0;
    const auto move = [&] {
        return sqlite3_wal_checkpoint_v2(handle, "main", SQLITE_CHECKPOINT_PASSIVE, &pages, &moved) == SQLITE_OK;
    };
    if (!move() || !is_long) return;
    // Once all is moved, new readers read from the file; this waits for those that read from the log.
    for (int attempts = 0; attempts < 100 && (moved < pages || lock.is_log_read()); ++attempts) {
        sqlite3_sleep(1);
        if (moved < pages && !move()) return;
    }
    long_at_ = pages + long_pages; // not every commit waits for a reader that stays
}

#endif // ESCQRS_HAS_BODIES

} // namespace escqrs::inline v0::sqlite::detail
