// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "support/temporary_folder.hpp"

#include <escqrs/core/clock.hpp>

#include <boost/json/value.hpp>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stop_token>
#include <string>
#include <sys/types.h>
#include <vector>

namespace service_bus_test {

/// A program that is started with the test and ends with it.
class ChildProcess {
public:
    /// Starts `arguments[0]`, found on the PATH.
    explicit ChildProcess(const std::vector<std::string>& arguments);
    /// Ends it, by force if it does not go within two seconds.
    ~ChildProcess();
    ChildProcess(const ChildProcess&) = delete;
    ChildProcess& operator=(const ChildProcess&) = delete;

    /// The next line of its output; empty at its end.
    std::string read_line();
    /// Waits for its end. @return its exit code, or minus the signal that ended it
    int wait();
    void kill(int signal) const;

private:
    pid_t process_ = -1;
    int output_ = -1;
    std::string unread_;
};

struct HttpAnswer {
    long status = 0;
    std::string body;
};

HttpAnswer http(const std::string& method, const std::string& url, const std::string& body = {});

/// The real time, moved on by what a test adds.
class ShiftedClock final : public escqrs::Clock {
public:
    escqrs::Timestamp now() const override
    {
        return escqrs::system_clock().now() + escqrs::Duration{shift_.load() + wrong_by_.load()};
    }
    escqrs::SteadyTime steady() const override
    {
        return escqrs::system_clock().steady() + escqrs::Duration{shift_.load()};
    }
    bool wait_for(std::unique_lock<std::mutex>& lock, std::condition_variable_any& wake, escqrs::Duration at_most,
                  std::stop_token stop, escqrs::FunctionRef<bool()> ready) override;
    void shift(escqrs::Duration by) { shift_ += by.count(); }
    /// Sets the time of day: that far from the right one. No time passes by that.
    void set_wrong_by(escqrs::Duration difference) { wrong_by_ = difference.count(); }

private:
    std::atomic<escqrs::Duration::rep> shift_{0};
    std::atomic<escqrs::Duration::rep> wrong_by_{0};
};

/// What a queue of the emulator holds.
struct EmulatorCounts {
    std::uint64_t active = 0;
    std::uint64_t locked = 0;
    std::uint64_t scheduled = 0;
    std::uint64_t deferred = 0;
    std::uint64_t dead_lettered = 0;

    /// Of one moment: of two looks, neither would see a message whose lock ends between them.
    [[nodiscard]] std::uint64_t to_be_handled() const { return active + locked; }
};

/// The Service Bus emulator as a process with its own ports, one of them to control it.
class Emulator {
public:
    Emulator();

    /// One for all tests: the one that ctest has started, where it has, without the faults of earlier tests. Its clock
    /// runs on from test to test, so tests that use it exclude each other.
    static Emulator& shared();
    /// What `shared()` of another process must know of this one.
    std::string description() const;

    /// `Endpoint=…` with the key that may do everything.
    std::string connection_string(const std::string& queue, bool tls = false) const;
    /// The same with a key that has only the rights given, such as `["Send"]`.
    std::string connection_string_with(const std::string& queue, const std::string& rights);

    const std::string& certificate() const noexcept { return certificate_; }
    std::string rest_endpoint() const;
    std::uint16_t amqp_port() const noexcept { return amqp_port_; }

    /// Creates a queue with its own name. @param description  as the control port takes it
    std::string create_queue(const boost::json::object& description);
    std::string new_name();

    EmulatorCounts counts(const std::string& queue) const;
    boost::json::value stats() const;
    /// Switches on a fault, such as "drop", or others with their parameters.
    void fault(const std::string& name, const boost::json::object& parameters = {}) const;

    /// Time passes for the emulator and for `clock()`.
    void advance(escqrs::Duration duration);
    ShiftedClock& clock() noexcept { return clock_; }

    boost::json::value control(const std::string& method, const std::string& path,
                               const boost::json::value& body = nullptr) const;

private:
    explicit Emulator(const boost::json::value& running);
    void take_ports(const boost::json::value& description);

    TemporaryFolder folder_;
    std::string certificate_;
    std::unique_ptr<ChildProcess> process_; ///< nothing: not started by this process
    std::uint16_t amqp_port_ = 0;
    std::uint16_t amqps_port_ = 0;
    std::uint16_t control_port_ = 0;
    std::uint16_t rest_port_ = 0;
    ShiftedClock clock_;
    std::atomic<int> next_name_{0};
};

} // namespace service_bus_test
