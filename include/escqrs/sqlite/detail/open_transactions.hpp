// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/sqlite/database_error.hpp>

#include <algorithm>
#include <cstddef>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace escqrs::inline v0::sqlite::detail {

/// The files on which threads of this process have write transactions open, so that a thread that would wait for itself
/// gets an error at once.
/// @par Thread safety  any thread; a transaction may end on another thread than it began on
class OpenTransactions {
public:
    static OpenTransactions& of_process()
    {
        static auto* const all = new OpenTransactions; // to the very end of the program
        return *all;
    }

    /// @throws DatabaseError at once if this thread has a transaction open on the file
    void check(const std::string& file, const std::string& path)
    {
        if (open_here == 0 || file.empty()) return;
        const std::scoped_lock lock{mutex_};
        if (std::ranges::find(open_, std::pair{std::this_thread::get_id(), file}) == open_.end()) return;
        throw DatabaseError{"sqlite '" + path +
                                "': this thread has a transaction open on the file already, and would wait for itself; "
                                "the handlers of a projection cannot write to the file of their read model by another "
                                "connection, nor append to an event store in it",
                            waits_for_itself};
    }

    void add(const std::string& file)
    {
        const std::scoped_lock lock{mutex_};
        open_.emplace_back(std::this_thread::get_id(), file);
        ++open_here;
    }

    void remove(std::thread::id thread, const std::string& file) noexcept
    {
        const std::scoped_lock lock{mutex_};
        const auto mine = std::ranges::find(open_, std::pair{thread, file});
        if (mine != open_.end()) open_.erase(mine);
        if (open_here > 0 && thread == std::this_thread::get_id()) --open_here;
    }

private:
    static inline thread_local std::size_t open_here = 0; ///< at least; spares the lock

    std::mutex mutex_;
    std::vector<std::pair<std::thread::id, std::string>> open_;
};

/// One of them, from before it begins until it ends.
class OpenTransaction {
public:
    explicit OpenTransaction(std::string file) : file_{std::move(file)} { OpenTransactions::of_process().add(file_); }
    OpenTransaction(const OpenTransaction&) = delete;
    OpenTransaction& operator=(const OpenTransaction&) = delete;
    ~OpenTransaction() { end(); }

    void end() noexcept
    {
        if (!std::exchange(is_open_, false)) return;
        OpenTransactions::of_process().remove(thread_, file_);
    }

private:
    std::string file_;
    std::thread::id thread_ = std::this_thread::get_id();
    bool is_open_ = true;
};

} // namespace escqrs::inline v0::sqlite::detail
