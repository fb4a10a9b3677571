// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace http {

struct GuessLimitOptions {
    using Duration = std::chrono::steady_clock::duration;

    Duration interval = std::chrono::seconds{1};              ///< between two tries of a client
    int burst = 10;                                           ///< tries of a client that need not wait
    Duration interval_of_all = std::chrono::milliseconds{50}; ///< between two tries of all that have been wrong
    int burst_of_all = 100;                                   ///< of their tries that need not wait
    Duration longest_wait = std::chrono::seconds{5};          ///< a try that had to wait longer is refused
    Duration memory_of_wrong = std::chrono::minutes{10};      ///< after the client's last wrong try
    Duration memory_of_right = std::chrono::hours{12};        ///< after its last right one
    std::size_t max_clients = 4096; ///< remembered; of the others, those of near networks count as one
};

/// Limits how often a secret can be guessed, by one client and by all clients together.
///
/// Each try is a charge on its client's account; a right one is paid back. A client waits for others only if it was
/// wrong lately and never right, so guesses of strangers lock no one out. While more clients guess than are remembered,
/// the unknown ones share one account.
/// @par Thread safety  any thread
class GuessLimit {
public:
    using Duration = std::chrono::steady_clock::duration;
    using Time = std::chrono::steady_clock::time_point;

    explicit GuessLimit(const GuessLimitOptions& options = {}) : options_{options} {}

    /// Charges one try.
    /// @param client  an IP address; of an IPv6 address the network, the first 64 bits, counts
    /// @return how long the try must wait; nothing if too many wait already: refuse it, it is not charged
    std::optional<Duration> take(std::string_view client, Time now = std::chrono::steady_clock::now());

    void was_right(std::string_view client, Time now = std::chrono::steady_clock::now());
    void was_wrong(std::string_view client, Time now = std::chrono::steady_clock::now());

    Duration longest_wait() const noexcept { return options_.longest_wait; }

private:
    struct Account {
        Time due{}; ///< when the tries so far are paid for, one by one at each interval
        Time wrong_until{};
        Time right_until{};

        bool is_forgotten(Time now) const noexcept { return due <= now && wrong_until <= now && right_until <= now; }
    };

    Account& account_of(std::string_view client, Time now);

    GuessLimitOptions options_;
    std::mutex mutex_;
    std::map<std::string, Account, std::less<>>
        accounts_; ///< by client; that of "" is shared by those without their own
    Time all_due_{};
    Time next_sweep_{};
};

} // namespace http
