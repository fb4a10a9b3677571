// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "http_server.hpp"

#include <stdexcept>
#include <string>
#include <string_view>

namespace http {

/// Why a request is refused, in the form of RFC 9457.
struct Problem {
    unsigned status = 500;
    std::string slug; ///< names the rule that was broken; empty: the status says it all
    std::string detail;
    std::string field; ///< the input it concerns, if one
    Headers headers;
};

/// Ends a request with a problem.
class RequestRefused : public std::runtime_error {
public:
    explicit RequestRefused(Problem problem) : std::runtime_error{problem.detail}, problem_{std::move(problem)} {}

    const Problem& problem() const noexcept { return problem_; }

private:
    Problem problem_;
};

/// Ends the request in hand with a problem.
[[noreturn]] void refuse(unsigned status, std::string slug, std::string detail, std::string field = {},
                         Headers headers = {});

Response to_response(const Problem& problem);

/// A 503 that asks the client to come back.
Response busy();

/// The standard name of a status.
std::string_view reason_phrase(unsigned status) noexcept;

} // namespace http
