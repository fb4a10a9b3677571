// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../http/http_server.hpp"

#include <escqrs/core/metadata.hpp>

#include <string>

namespace conference::web {

/// What an HTTP request says about the command in it: correlation, trace, and whether it may be a repeat.
class RequestMetadata {
public:
    /// @throws RequestRefused 400 if the Idempotency-Key is not 1 to 255 visible characters
    explicit RequestMetadata(const http::Request& request);

    escqrs::Metadata metadata;

    /// Whether `stored` came from a request with this one's method, path and body.
    bool is_digest_in(const escqrs::Metadata& stored) const;

private:
    std::string digest_;
};

} // namespace conference::web
