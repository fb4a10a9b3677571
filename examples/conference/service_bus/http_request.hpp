// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/timestamp.hpp>

#include <cstddef>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace service_bus {

struct HttpRequest {
    std::string method = "GET";
    std::string url;
    std::vector<std::string> headers = {}; ///< lines without their ends
    std::string body = {};
    std::string certificate_authorities = {}; ///< PEM file of those trusted; empty: the system's
    bool may_use_proxy = true;                ///< that of the environment
};

struct HttpResponse {
    long status = 0;
    std::string body = {};
    std::optional<escqrs::Duration> retry_after; ///< as the server asks
};

/// Sends a request over libcurl and returns the answer, whatever its status. Redirects are not followed.
/// @param timeout  for all of it, from the look-up of the name to the last byte
/// @param stop     ends it at once, but for a look-up of a name, which has to come to its own end
/// @throws escqrs::TransportError if there is no answer, or one of more than a mebibyte; the text holds the method and the URL
///         without its query
HttpResponse send_http(const HttpRequest& request, escqrs::Duration timeout, const std::stop_token& stop = {});

} // namespace service_bus
