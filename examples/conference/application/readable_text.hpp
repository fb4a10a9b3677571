// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace conference {

/// `text` as one line of valid UTF-8 of at most `max_length` bytes: what is neither becomes '?', a control character or
/// a line end of Unicode's a blank. Errors quote what came from outside, and end up in logs, queues and on the organiser's page.
std::string readable(std::string_view text, std::size_t max_length);

} // namespace conference
