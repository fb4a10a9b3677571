// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/stop_token.hpp>
#include <escqrs/postgres/connection.hpp>
#include <escqrs/postgres/schema.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <functional>
#include <optional>
#include <poll.h>
#include <string>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

namespace escqrs::inline v0::postgres::detail {

/// Notifies other processes of an append, and learns of theirs, by NOTIFY and LISTEN on its own connection.
///
/// Only a hint: a ring while the connection is lost, or through a PgBouncer, is not heard. It does not ring within the
/// append's transaction, since of transactions that notify, PostgreSQL lets only one commit at a time; and many rings
/// in quick succession become one.
/// @par Thread safety  `ring` may be called from any thread
class Doorbell {
public:
    /// @param on_ring  called on the bell's own thread, for each ring of another process, and after connecting, also
    ///                 again
    Doorbell(std::string address, ConnectionOptions options, const std::string& channel, std::function<void()> on_ring)
        : address_{std::move(address)}, options_{std::move(options)}, channel_{quoted_name(channel)},
          on_ring_{std::move(on_ring)}
    {
        // The destructor waits for its thread.
        options_.answer_timeout = std::min<Duration>(options_.answer_timeout, longest_silence);
        if (pipe2(wake_, O_CLOEXEC | O_NONBLOCK) != 0) throw std::system_error{errno, std::generic_category(), "pipe"};
        thread_ = jthread{[this](const stop_token& stop) { run(stop); }};
    }
    Doorbell(const Doorbell&) = delete;
    Doorbell& operator=(const Doorbell&) = delete;
    ~Doorbell()
    {
        thread_.request_stop();
        wake();
        thread_.join();
        close(wake_[0]);
        close(wake_[1]);
    }

    void ring() noexcept
    {
        if (!is_rung_.exchange(true)) wake();
    }

private:
    static constexpr int retry_milliseconds = 500;
    static constexpr std::chrono::milliseconds least_interval{4};
    static constexpr std::chrono::seconds longest_silence{2};

    void wake() noexcept
    {
        const char byte = 0;
        (void)!write(wake_[1], &byte, 1); // a full pipe wakes as well
    }

    void run(const stop_token& stop)
    {
        options_.stop = stop;
        std::optional<Connection> connection;
        std::chrono::steady_clock::time_point last_ring;
        while (!stop.stop_requested()) {
            try {
                if (!connection) {
                    connection.emplace(address_, options_);
                    connection->execute("LISTEN " + channel_);
                    on_ring_();
                }
                if (is_rung_) {
                    // So that under load it costs the server little compared with the appends: with 1 ms, a tenth of
                    // them.
                    std::this_thread::sleep_until(last_ring + least_interval);
                    is_rung_ = false;
                    last_ring = std::chrono::steady_clock::now();
                    connection->execute("NOTIFY " + channel_);
                }
                hear(*connection);
                wait(PQsocket(connection->handle()), -1);
            } catch (...) { // the server's, or no memory: until it is over, readers poll
                connection.reset();
                wait(-1, retry_milliseconds);
            }
        }
    }

    void hear(Connection& connection)
    {
        PQconsumeInput(connection.handle());
        bool others = false;
        while (PGnotify* const notification = PQnotifies(connection.handle())) {
            others = others || notification->be_pid != PQbackendPID(connection.handle());
            PQfreemem(notification);
        }
        if (connection.is_lost()) throw StoreError{"the connection was lost"};
        if (others) on_ring_();
    }

    void wait(int socket, int milliseconds) noexcept
    {
        pollfd events[] = {{wake_[0], POLLIN, 0}, {socket, POLLIN, 0}}; // NOLINT(modernize-avoid-c-arrays)
        poll(events, 2, milliseconds);
        char bytes[64]; // NOLINT(modernize-avoid-c-arrays)
        while (read(wake_[0], bytes, sizeof bytes) > 0) {}
    }

    std::string address_;
    ConnectionOptions options_;
    std::string channel_;
    std::function<void()> on_ring_;
    std::atomic<bool> is_rung_{false};
    int wake_[2] = {-1, -1}; // NOLINT(modernize-avoid-c-arrays): what pipe fills
    jthread thread_;
};

} // namespace escqrs::inline v0::postgres::detail
