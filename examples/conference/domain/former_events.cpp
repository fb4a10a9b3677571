// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "former_events.hpp"

#include "text.hpp"

namespace conference {

AttendeeUnregistered trim_reason(const AttendeeUnregisteredV0& old) { return {std::string{trimmed(old.reason)}}; }

} // namespace conference
