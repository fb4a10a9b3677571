// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/timestamp.hpp>
#include <escqrs/postgres/detail/answer_limit.hpp>
#include <escqrs/postgres/detail/connection_string.hpp>

#include <libpq-fe.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>

namespace escqrs::inline v0::postgres::detail {

struct Finish {
    void operator()(PGconn* handle) const noexcept { PQfinish(handle); }
};
using Handle = std::unique_ptr<PGconn, Finish>;

/// How long connecting may take.
struct ConnectLimits {
    Duration in_all;
    std::string of_a_host; ///< in seconds, as libpq wants it
};

/// Hosts share the time; libpq gives each 2 s at least. An address may give a host less, but not more.
inline ConnectLimits connect_limits(const std::string& address, Duration answer_timeout)
{
    constexpr std::int64_t least = 2;
    constexpr std::int64_t most = std::numeric_limits<int>::max();
    const ConnectionString parts{address};
    const auto commas = [&](std::string_view keyword) { return std::ranges::count(parts.value_of(keyword), ','); };
    const std::int64_t hosts = 1 + std::max(commas("host"), commas("hostaddr"));
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(answer_timeout).count();
    std::int64_t of_a_host = std::clamp(seconds / hosts, least, most);
    const std::string_view given = parts.value_of("connect_timeout");
    std::int64_t wanted = 0; // as in libpq, without limit
    std::from_chars(given.data(), given.data() + given.size(), wanted);
    if (wanted > 0) of_a_host = std::min(of_a_host, wanted);
    return {std::max<Duration>(answer_timeout, std::chrono::seconds{least * hosts}), std::to_string(of_a_host)};
}

/// Connects to the first of the hosts that lets us, with all of looking up names, TLS and authentication within the
/// limit.
/// @return what libpq made, which may have failed; null if that took longer
/// @throws std::system_error if no thread can be started; std::bad_alloc
inline Handle connect_within(const std::string& address, const std::string& of_a_host, AnswerLimit& limit)
{
    struct Attempt {
        std::string address;
        std::string of_a_host;
        Handle handle{};

        void operator()() noexcept
        {
            // libpq takes the last value of an option that is given twice.
            const char* const names[] = {"dbname", "client_encoding", "connect_timeout", nullptr}; // NOLINT: libpq's
            const char* const values[] = {address.c_str(), "UTF8", of_a_host.c_str(), nullptr};    // NOLINT: form
            handle.reset(PQconnectdbParams(names, values, 1));
        }
    };
    const auto attempt = std::make_shared<Attempt>(Attempt{address, of_a_host});
    if (!run_apart(attempt, limit)) return nullptr;
    if (!attempt->handle) throw std::bad_alloc{};
    return std::move(attempt->handle);
}

/// Asks the server to cancel its work for a connection. libpq waits for the answer without end.
/// @return false if that took longer than the limit
inline bool cancel_within(PGconn* handle, AnswerLimit limit)
{
    struct Request {
        std::unique_ptr<PGcancel, decltype(&PQfreeCancel)> cancel;

        void operator()() noexcept
        {
            char error[256]; // NOLINT(modernize-avoid-c-arrays): as libpq wants it
            (void)PQcancel(cancel.get(), error, sizeof error);
        }
    };
    const auto request = std::make_shared<Request>(
        Request{std::unique_ptr<PGcancel, decltype(&PQfreeCancel)>{PQgetCancel(handle), &PQfreeCancel}});
    return !request->cancel || run_apart(request, limit);
}

} // namespace escqrs::inline v0::postgres::detail
