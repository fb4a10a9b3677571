// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/sqlite/database.hpp>

#include <sqlite3.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

/// Another process that uses the files of this one. Make it before anything is opened: it is a fork.
class OtherProcess {
public:
    OtherProcess()
    {
        if (::pipe(to_) != 0 || ::pipe(from_) != 0) throw std::system_error{errno, std::generic_category(), "pipe"};
        child_ = ::fork();
        if (child_ < 0) throw std::system_error{errno, std::generic_category(), "fork"};
        ::close(to_[child_ == 0 ? 1 : 0]);
        ::close(from_[child_ == 0 ? 0 : 1]);
        if (child_ == 0) serve();
    }
    OtherProcess(const OtherProcess&) = delete;
    OtherProcess& operator=(const OtherProcess&) = delete;
    ~OtherProcess()
    {
        ::close(to_[1]);
        ::close(from_[0]);
        ::waitpid(child_, nullptr, 0);
    }

    /// By SQLite alone: opens the database, runs `sql`, and closes it, as the last one if SQLite finds that no other
    /// process has it open.
    /// @return SQLite's result code of `sql`
    int run(const std::string& path, const std::string& sql) { return ask('s' + path + '\n' + sql); }

    /// By this library: runs `sql` in a transaction.
    /// @return SQLite's result code
    int write(const std::string& path, const std::string& sql) { return ask('l' + path + '\n' + sql); }

private:
    int ask(const std::string& request)
    {
        int code = -1;
        if (::write(to_[1], request.data(), request.size()) < 0 || ::read(from_[0], &code, sizeof code) < 0) return -1;
        return code;
    }

    static int run_alone(const std::string& path, const char* sql)
    {
        sqlite3* handle = nullptr;
        sqlite3_open(path.c_str(), &handle);
        const int code = sqlite3_exec(handle, sql, nullptr, nullptr, nullptr);
        sqlite3_close(handle);
        return code;
    }

    static int write_by_library(const std::string& path, const char* sql)
    {
        try {
            escqrs::sqlite::Database database{path, {.busy_timeout = std::chrono::milliseconds{20}}};
            escqrs::sqlite::Transaction transaction{database};
            database.execute(sql);
            transaction.commit();
            return SQLITE_OK;
        } catch (const escqrs::sqlite::DatabaseError& error) {
            return error.code();
        }
    }

    [[noreturn]] void serve() const
    {
        char buffer[4096];
        for (ssize_t size = 0; (size = ::read(to_[0], buffer, sizeof buffer)) > 0;) {
            const std::string request(buffer, static_cast<std::size_t>(size));
            const std::size_t end = request.find('\n');
            const std::string path = request.substr(1, end - 1);
            const char* const sql = request.c_str() + end + 1;
            const int code = request[0] == 'l' ? write_by_library(path, sql) : run_alone(path, sql);
            if (::write(from_[1], &code, sizeof code) < 0) break;
        }
        ::_exit(0);
    }

    int to_[2] = {-1, -1};
    int from_[2] = {-1, -1};
    pid_t child_ = -1;
};
