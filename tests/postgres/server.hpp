// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "support/temporary_folder.hpp"

#include <cstdint>
#include <string>
#include <sys/types.h>

namespace postgres_test {

/// A PostgreSQL server with its own folder and port, which ends with the test. It offers TLS, and trusts every role but
/// `with_password`.
class Server {
public:
    Server();
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    struct StandbyOf {
        const Server& primary;
    };
    explicit Server(StandbyOf of);

    /// One for all tests: the one that ctest has started, where it has, in a database that only this process uses. A
    /// test that stops, freezes or reconfigures the server needs its own `Server`.
    static Server& shared();

    /// What proves who it is; signed by itself, so also the authority to trust.
    const std::string& certificate() const noexcept { return certificate_; }

    /// As the superuser `postgres`, in the database `database()`.
    std::string address() const { return address("postgres"); }
    std::string address(const std::string& user) const;
    std::uint16_t port() const noexcept { return port_; }
    const std::string& database() const noexcept { return database_; }

    /// Ends it, in good order or by SIGKILL of all its processes at once, and starts it again.
    void restart(bool by_force);
    void stop(bool by_force);
    void start();

    /// What `shared()` of another process must know of this one.
    std::string description() const { return std::to_string(port_) + "\n" + certificate_ + "\n"; }

    /// A schema that no other test has; roles whose names begin with it belong to this test alone, too.
    std::string new_schema();

private:
    struct Running {
        std::uint16_t port;
        std::string certificate;
    };
    explicit Server(const Running& server);
    void run_in_database_postgres(const std::string& sql) const;

    TemporaryFolder folder_;
    std::string data_;
    std::string certificate_;
    std::string database_ = "postgres";
    std::uint16_t port_;
    pid_t process_ = -1; ///< -1: not started by this process
    int next_schema_ = 0;
};

/// A PgBouncer before the shared server, which lends each transaction one of a few connections.
class Bouncer {
public:
    Bouncer();
    ~Bouncer();
    Bouncer(const Bouncer&) = delete;
    Bouncer& operator=(const Bouncer&) = delete;

    std::string address() const;

private:
    TemporaryFolder folder_;
    std::uint16_t port_;
    pid_t process_ = -1;
};

} // namespace postgres_test
