// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/config.hpp>
#include <escqrs/core/check_option.hpp>
#include <escqrs/core/function_ref.hpp>
#include <escqrs/core/group_queue.hpp>
#include <escqrs/sqlite/database.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace escqrs::inline v0::sqlite {

/// Writes to one database from many threads, many pieces of work to one transaction, so that they share its price.
///
/// A lone caller commits at once; under load the groups grow.
/// @par Thread safety  may be called from any thread, but not from inside a piece of work, nor while the thread has a
///                     transaction open on the same file
class GroupCommit {
public:
    /// @param database        must outlive this; nothing else may use it meanwhile
    /// @param max_group_size  bounds the time that a caller waits for others' work
    /// @throws InvalidOption
    explicit GroupCommit(Database& database, std::size_t max_group_size = 256)
        : database_{&database}, file_{database.file()}, queue_{max_group_size}
    {
        escqrs::detail::check_at_least(1, max_group_size, "max_group_size");
    }
    GroupCommit(const GroupCommit&) = delete;
    GroupCommit& operator=(const GroupCommit&) = delete;

    /// Runs `work(database)` within a transaction, and returns what it returned once that is durable.
    ///
    /// If `work` throws, only what it wrote is undone, and this call throws the exception. `work` may run on another
    /// caller's thread, and more than once: the whole group is repeated if a part of it failed after it had changed
    /// rows. Only rows count: create tables elsewhere.
    /// @throws DatabaseError if the transaction fails, which fails the whole group
    /// @throws DatabaseError at once if the thread has a transaction open on the file, for which it would wait in vain
    template <class Work>
    auto commit(Work&& work) -> std::invoke_result_t<Work&, Database&>
    {
        return commit(std::forward<Work>(work), true);
    }

    /// As `commit`, but does not wait for the disk: other processes see it at once and it survives the death of this
    /// one, but a power cut may undo it, with whatever was not durable either. A later `commit` makes it durable.
    template <class Work>
    auto commit_without_sync(Work&& work) -> std::invoke_result_t<Work&, Database&>
    {
        return commit(std::forward<Work>(work), false);
    }

private:
    /// A call of `commit` that has not returned yet. Lives on its caller's stack.
    struct Caller : escqrs::detail::GroupQueue<Caller>::Entry {
        Caller(FunctionRef<void(Database&)> given, bool syncs) noexcept : work{given}, needs_sync{syncs} {}

        FunctionRef<void(Database&)> work;
        bool needs_sync;
        std::exception_ptr failure;
    };

    template <class Work>
    auto commit(Work&& work, bool needs_sync) -> std::invoke_result_t<Work&, Database&>
    {
        using Result = std::invoke_result_t<Work&, Database&>;
        if constexpr (std::is_void_v<Result>) {
            wait_for_commit(work, needs_sync);
        } else {
            std::optional<Result> result;
            wait_for_commit([&](Database& database) { result = work(database); }, needs_sync);
            return std::move(*result);
        }
    }

    void wait_for_commit(FunctionRef<void(Database&)> work, bool needs_sync);
    void choose_sync(const Caller* group);
    void commit_group(Caller* group) noexcept;
    bool run_together(Caller* group);
    void run_apart(Caller* group);

    Database* database_;
    std::string file_;
    /// Whether the database was opened with `Synchronous::full`.
    std::optional<bool> can_sync_;
    /// Whether it syncs now; the leader alone uses these two.
    bool syncs_ = true;
    escqrs::detail::GroupQueue<Caller> queue_;
};

#if ESCQRS_HAS_BODIES

ESCQRS_INLINE void GroupCommit::wait_for_commit(FunctionRef<void(Database&)> work, bool needs_sync)
{
    database_->check_process(); // in a fork, the callers ahead in the queue are gone
    detail::OpenTransactions::of_process().check(file_, database_->path()); // another thread may be the one that waits
    Caller self{work, needs_sync};
    queue_.take_part(self, [this](Caller* group) { commit_group(group); });
    if (self.failure) std::rethrow_exception(self.failure);
}

ESCQRS_INLINE void GroupCommit::commit_group(Caller* group) noexcept
{
    // Each caller gets its own exception object, which its thread reads and destroys.
    const auto fail_all = [group](const auto& make_failure) {
        for (Caller* caller = group; caller != nullptr; caller = caller->next) {
            if (!caller->failure) caller->failure = make_failure();
        }
    };
    try {
        choose_sync(group);
        if (!run_together(group)) run_apart(group);
    } catch (const DatabaseError& error) {
        fail_all([&] { return std::make_exception_ptr(DatabaseError{std::string{error.what()}, error.code()}); });
    } catch (...) {
        fail_all([failure = std::current_exception()] { return failure; });
    }
}

/// Has the commit wait for the disk if one of the group needs that.
ESCQRS_INLINE void GroupCommit::choose_sync(const Caller* group)
{
    bool needs_sync = false;
    for (; group != nullptr; group = group->next) needs_sync = needs_sync || group->needs_sync;
    if (needs_sync == syncs_) return;
    if (!can_sync_) can_sync_ = database_->query_integer("PRAGMA synchronous") >= 2;
    if (*can_sync_) database_->execute(needs_sync ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
    syncs_ = needs_sync;
}

/// The common way: no savepoints.
/// @return false if a part failed after it had written; nothing is committed then
ESCQRS_INLINE bool GroupCommit::run_together(Caller* group)
{
    Transaction transaction{*database_};
    for (Caller* caller = group; caller != nullptr; caller = caller->next) {
        const auto changes_before = database_->total_changes();
        try {
            caller->work(*database_);
        } catch (...) {
            caller->failure = std::current_exception();
            if (database_->total_changes() != changes_before || !database_->in_transaction()) return false;
        }
    }
    transaction.commit();
    return true;
}

/// The way out if a part has to be undone: each in a savepoint.
ESCQRS_INLINE void GroupCommit::run_apart(Caller* group)
{
    for (Caller* caller = group; caller != nullptr; caller = caller->next) caller->failure = nullptr;
    Transaction transaction{*database_};
    for (Caller* caller = group; caller != nullptr; caller = caller->next) {
        try {
            Savepoint part{*database_};
            caller->work(*database_);
            part.commit();
        } catch (...) {
            caller->failure = std::current_exception();
        }
        // Disk full, and the like: SQLite has undone everything, so every caller must get the error.
        if (!database_->in_transaction())
            throw DatabaseError{database_->path(), "transaction undone", SQLITE_ABORT_ROLLBACK,
                                sqlite3_errstr(SQLITE_ABORT_ROLLBACK)};
    }
    transaction.commit();
}

#endif // ESCQRS_HAS_BODIES

} // namespace escqrs::inline v0::sqlite
