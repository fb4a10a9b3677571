// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>
#include <functional>
#include <string_view>

namespace conference {

/// How much of an error's text a line or a database field takes, in bytes.
inline constexpr std::size_t max_error_length = 500;

/// Takes a line for the operator. Called from several threads.
using WorkerLog = std::function<void(std::string_view)>;

} // namespace conference
