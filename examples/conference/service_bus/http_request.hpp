// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/timestamp.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace service_bus {

/// Which servers may be asked without TLS.
enum class PlainHttp : std::uint8_t {
    this_machine,        ///< those at a loopback address
    link_local_too,      ///< and those at a link-local one, as a virtual machine's metadata service is
    private_network_too, ///< and those at an address of a private network, where Azure gives a container its token service
};

struct HttpRequest {
    std::string method = "GET";
    std::string url;
    std::vector<std::string> headers = {}; ///< lines without their ends
    std::string body = {};
    std::string certificate_authorities = {}; ///< PEM file of those trusted; empty: the system's
    PlainHttp plain_http = PlainHttp::this_machine;
};

struct HttpResponse {
    long status = 0;
    std::string body = {};
    std::optional<escqrs::Duration> retry_after; ///< as the server asks
};

/// Sends a request over libcurl and returns the answer, whatever its status. Redirects are not followed. The environment's proxy is
/// used only for a server that is asked over TLS and is at none of the addresses that `plain_http` allows, nor at a link-local one.
///
/// Requests hold secrets, or their answers do, so that only `https://` may leave this machine.
/// @param timeout  for all of it, from the look-up of the name to the last byte
/// @param stop     ends it at once; as the time limit, this takes libcurl 7.87 while a name is looked up, else the look-up ends first
/// @throws escqrs::TransportError if the URL may not be asked, a header holds a control character, or there is no answer, or one of
///         more than a mebibyte; the text holds the method and the URL without its query
HttpResponse send_http(const HttpRequest& request, escqrs::Duration timeout, const std::stop_token& stop = {});

/// Refuses a URL by which a secret would travel unencrypted, or that names a user.
/// @param name  of the URL, for the error
/// @throws escqrs::TransportError naming scheme and host
void require_private(const std::string& url, const std::string& name, PlainHttp plain_http = PlainHttp::this_machine);

} // namespace service_bus
