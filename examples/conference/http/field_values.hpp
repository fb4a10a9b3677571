// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "http_server.hpp"

#include <string_view>

// How the values of header fields are compared and written (RFC 9110).
namespace http {

/// Whether two names are the same but for the case of ASCII letters: of fields, schemes, media types.
bool same_name(std::string_view left, std::string_view right) noexcept;

/// The present time as a Date field has it: always 29 characters. Valid until the thread's next call.
std::string_view date_now() noexcept;

/// Whether the client names a media type among those that it takes. What it takes for want of something better (`*/*`,
/// `text/*`) does not count.
bool asks_for(const Request& request, std::string_view media_type) noexcept;

/// Whether the client has what `etag` stands for: its If-None-Match fields name that tag, or `*`.
bool is_unchanged(const Request& request, std::string_view etag) noexcept;

} // namespace http
