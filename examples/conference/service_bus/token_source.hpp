// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/error.hpp>
#include <escqrs/core/timestamp.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

namespace service_bus {

/// The kinds of token that Service Bus takes.
enum class TokenType : std::uint8_t {
    shared_access_signature, ///< `servicebus.windows.net:sastoken` on `$cbs`
    jwt,                     ///< of Microsoft Entra ID; `jwt` on `$cbs`, `Bearer` over REST
};

/// A right to use a resource for some time.
struct AccessToken {
    std::string text;
    TokenType type = TokenType::jwt;
    escqrs::Timestamp expires_at;
    std::string problem = {}; ///< why there is no newer token, though this one is due for renewal; empty: it is not due
};

/// What a token is wanted for.
struct TokenRequest {
    std::string resource; ///< such as `sb://host/queue`
    std::string refused;  ///< the broker has refused this token, so another one is wanted; empty: none was refused
    std::stop_token stop; ///< when it is requested, a source that waits throws
};

/// Returns a token. It may be called from several threads at once. It may wait for a server: a connection calls it on a
/// thread that does nothing else.
/// Throws anything derived from `std::exception` if there is no token; the text must not show a secret.
using TokenSource = std::function<AccessToken(const TokenRequest&)>;

/// There is no token.
class TokenError : public escqrs::TransportError {
public:
    /// @param retry_after  the server's wish; nothing if it named none
    /// @param is_permanent  only a person can help, so asking again soon makes no sense
    explicit TokenError(const std::string& text, std::optional<escqrs::Duration> retry_after = std::nullopt,
                        bool is_permanent = false)
        : TransportError{text}, retry_after_{retry_after}, is_permanent_{is_permanent}
    {
    }

    std::optional<escqrs::Duration> retry_after() const noexcept { return retry_after_; }
    bool is_permanent() const noexcept { return is_permanent_; }

private:
    std::optional<escqrs::Duration> retry_after_;
    bool is_permanent_;
};

/// When a token should be renewed: 15 minutes before its end, as Microsoft's own clients do, but not before three quarters of
/// its remaining life have passed.
template <class Counter>
std::chrono::time_point<Counter, escqrs::Duration>
renewal_time(std::chrono::time_point<Counter, escqrs::Duration> now,
             std::chrono::time_point<Counter, escqrs::Duration> expires_at) noexcept
{
    constexpr escqrs::Duration ahead = std::chrono::minutes{15};
    return expires_at - std::min(ahead, escqrs::time_until(expires_at, now) / 4);
}

} // namespace service_bus
