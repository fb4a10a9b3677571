// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "token_source.hpp"

#include <escqrs/core/backoff.hpp>
#include <escqrs/core/clock.hpp>

namespace service_bus {

/// Keeps the token that `source` returns for all callers and resources, and asks for another one ahead of its end.
///
/// It asks for one at a time, and at most every 30 seconds. After a failure it pauses for 0.8 s × (2ⁿ − 1), a minute at most,
/// or for as long as the server asks, and after one that only a person can help with for a minute. While it does not ask,
/// callers get the token that is still good; if there is none, it throws the last reason. For sources that ask a server, such
/// as those of Microsoft Entra ID; copies share the token.
/// @param clock  must outlive the source
TokenSource cached(TokenSource source, escqrs::Clock& clock = escqrs::system_clock(),
                   escqrs::Jitter jitter = escqrs::random_jitter);

} // namespace service_bus
