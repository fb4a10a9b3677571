// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <sqlite3.h>

#include <cerrno>
#include <string>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

/// Another process, which uses SQLite alone. Make it before anything is opened: it is a fork.
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

    /// Opens the database, runs `sql`, and closes it, as the last one if SQLite finds that nobody else has it open.
    /// @return SQLite's result code of `sql`
    int run(const std::string& path, const std::string& sql)
    {
        const std::string request = path + '\n' + sql;
        int code = -1;
        if (::write(to_[1], request.data(), request.size()) < 0 || ::read(from_[0], &code, sizeof code) < 0) return -1;
        return code;
    }

private:
    [[noreturn]] void serve() const
    {
        char buffer[4096];
        for (ssize_t size = 0; (size = ::read(to_[0], buffer, sizeof buffer)) > 0;) {
            const std::string request(buffer, static_cast<std::size_t>(size));
            const std::size_t end = request.find('\n');
            sqlite3* handle = nullptr;
            sqlite3_open(request.substr(0, end).c_str(), &handle);
            const int code = sqlite3_exec(handle, request.c_str() + end + 1, nullptr, nullptr, nullptr);
            sqlite3_close(handle);
            if (::write(from_[1], &code, sizeof code) < 0) break;
        }
        ::_exit(0);
    }

    int to_[2] = {-1, -1};
    int from_[2] = {-1, -1};
    pid_t child_ = -1;
};
