// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "support/temporary_folder.hpp"

#include <cstdint>
#include <string>
#include <sys/types.h>

namespace postgres_test {

/// A PostgreSQL server of its own, with a folder and a port of its own, that ends with the test. It speaks TLS to who wants it,
/// and trusts everybody but the role `with_password`.
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

    /// One for all tests of this program.
    static Server& shared();

    /// What proves who it is; signed by itself, so also the authority to trust.
    std::string certificate() const { return folder_.file("server.crt"); }

    /// As the superuser `postgres`, in the database `postgres`.
    std::string address() const { return address("postgres"); }
    std::string address(const std::string& user) const;
    std::uint16_t port() const noexcept { return port_; }

    /// Ends it, in good order or by SIGKILL of all its processes at once, and starts it again.
    void restart(bool by_force);
    void stop(bool by_force);
    void start();

    /// A schema that no other test has.
    std::string new_schema();

private:
    TemporaryFolder folder_;
    std::string data_;
    std::uint16_t port_;
    pid_t process_ = -1;
    int next_schema_ = 0;
};

/// A PgBouncer in front of the shared server, which lends each transaction one of a few connections.
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
