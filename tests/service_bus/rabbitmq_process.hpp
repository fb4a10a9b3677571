// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "emulator_process.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace service_bus_test {

/// A RabbitMQ with its own folders and ports, which speaks AMQP 1.0 and ends with the test.
class RabbitMq {
public:
    RabbitMq();
    ~RabbitMq();
    RabbitMq(const RabbitMq&) = delete;
    RabbitMq& operator=(const RabbitMq&) = delete;

    /// One for all tests: the one that ctest has started, where it has. A test that restarts the broker needs its own.
    static RabbitMq& shared();
    /// What `shared()` of another process must know of this one.
    std::string description() const;

    /// Ends it, in good order or by SIGKILL, and starts it again on the same folders and ports.
    void restart(bool by_force);

    /// Creates a durable queue that puts what is rejected on the queue `<name>-dead`.
    std::string create_queue();
    /// `amqp://…` of a queue.
    std::string address(const std::string& queue) const;
    std::uint64_t count(const std::string& queue) const;

private:
    struct Running {
        std::uint16_t amqp_port;
        std::uint16_t management_port;
    };
    explicit RabbitMq(const Running& broker);
    void start();
    void stop(int signal);
    std::string management(const std::string& method, const std::string& path, const std::string& body = {}) const;

    TemporaryFolder folder_;
    std::uint16_t amqp_port_ = 0;
    std::uint16_t management_port_ = 0;
    std::uint16_t name_server_port_ = 0;
    std::uint16_t distribution_port_ = 0;
    std::unique_ptr<ChildProcess> process_; ///< nothing: not started by this process
    int next_queue_ = 0;
};

} // namespace service_bus_test
