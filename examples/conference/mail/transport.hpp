// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "message.hpp"

#include <chrono>
#include <memory>
#include <stop_token>
#include <string>

namespace mail {

/// No mail can be handed out at the moment, whatever its recipient.
class ServerUnavailable : public Error {
public:
    using Error::Error;
};

/// Hands mails to the system that delivers them.
/// @par Thread safety  none
class Transport {
public:
    Transport() = default;
    Transport(const Transport&) = delete;
    Transport& operator=(const Transport&) = delete;
    virtual ~Transport() = default;

    /// Returns once the mail was taken over. Gives up on `stop`, at once as long as that is sure to do no harm.
    /// @throws Error, Refused, ServerUnavailable
    virtual void deliver(const Message& mail, const std::stop_token& stop) = 0;

    /// A generous bound on the time of a delivery. A sender that takes longer may be taken for dead, and another may send the mail.
    virtual std::chrono::seconds time_limit() const noexcept = 0;

    /// Address that mails come from, if the transport was given one; else empty.
    virtual std::string from() const { return {}; }
};

/// Opens `dir:PATH`, `smtp://[user:password@]host[:port][?from=address]` or the same with `smtps://`.
/// @throws Error if `url` is not one of these, or the folder cannot be used; the text holds no password
std::unique_ptr<Transport> open_transport(const std::string& url);

} // namespace mail
