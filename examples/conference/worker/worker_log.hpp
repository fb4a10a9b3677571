// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <functional>
#include <string_view>

namespace conference {

/// Takes a line for the operator. Called from several threads.
using WorkerLog = std::function<void(std::string_view)>;

} // namespace conference
