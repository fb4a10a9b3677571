// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "problem.hpp"

#include <boost/beast/http/status.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <utility>

namespace http {

std::string_view reason_phrase(unsigned status) noexcept
{
    const auto text = boost::beast::http::obsolete_reason(static_cast<boost::beast::http::status>(status));
    return {text.data(), text.size()};
}

Response to_response(const Problem& problem)
{
    boost::json::object body;
    body["type"] = problem.slug.empty() ? "about:blank" : "/problems/" + problem.slug;
    body["title"] = reason_phrase(problem.status);
    body["status"] = problem.status;
    body["detail"] = problem.detail;
    if (!problem.field.empty()) {
        body["errors"] = boost::json::array{boost::json::object{{"field", problem.field}, {"detail", problem.detail}}};
    }
    Response response{problem.status, problem.headers, boost::json::serialize(body)};
    response.headers.emplace_back("Content-Type", "application/problem+json");
    response.headers.emplace_back("Cache-Control", "no-store");
    return response;
}

void refuse(unsigned status, std::string slug, std::string detail, std::string field, Headers headers)
{
    throw RequestRefused{{status, std::move(slug), std::move(detail), std::move(field), std::move(headers)}};
}

Response busy() { return to_response({503, {}, "We are busy just now.", {}, {{"Retry-After", "1"}}}); }

} // namespace http
