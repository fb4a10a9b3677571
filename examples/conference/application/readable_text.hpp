// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/readable_text.hpp>

namespace conference {

/// Errors quote what came from outside, and end up in logs, queues and on the organiser's page.
using escqrs::readable;

} // namespace conference
