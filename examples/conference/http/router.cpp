// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "router.hpp"

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

#include <algorithm>
#include <optional>
#include <utility>

namespace http {
namespace {

std::vector<std::string> split(std::string_view path)
{
    std::vector<std::string> segments;
    if (path == "/") return segments;
    while (!path.empty()) {
        path.remove_prefix(1); // the slash
        const auto slash = path.find('/');
        segments.emplace_back(path.substr(0, slash));
        if (slash == std::string_view::npos) break;
        path.remove_prefix(slash);
    }
    return segments;
}

bool is_place(const std::string& segment) { return segment.starts_with('{'); }

using Places = std::map<std::string, std::string, std::less<>>;

std::optional<Places> match(const std::vector<std::string>& pattern, const std::vector<std::string>& path)
{
    if (pattern.size() != path.size()) return std::nullopt;
    Places places;
    for (std::size_t index = 0; index < pattern.size(); ++index) {
        if (is_place(pattern[index])) {
            if (path[index].empty()) return std::nullopt;
            places.emplace(pattern[index].substr(1, pattern[index].size() - 2), path[index]);
        } else if (pattern[index] != path[index]) {
            return std::nullopt;
        }
    }
    return places;
}

} // namespace

void Router::on(std::string method, std::string pattern, Handler handler)
{
    auto segments = split(pattern);
    routes_.push_back({std::move(method), std::move(pattern), std::move(segments), std::move(handler)});
}

Router::Match Router::find(Request request) const
{
    const auto url = boost::urls::parse_origin_form(request.target);
    if (!url) throw BadTarget{"the request target is not a path with an optional query"};
    std::vector<std::string> path;
    for (const auto segment : url->segments()) path.push_back(segment);

    Match found;
    for (const auto param : url->params()) found.request.query.insert_or_assign(param.key, param.value);
    const std::string_view method =
        request.method == "HEAD" ? std::string_view{"GET"} : std::string_view{request.method};
    // A path that stands in the list as it is, is not taken for one with a place in it.
    const bool is_literal = std::ranges::any_of(routes_, [&](const Route& route) { return route.segments == path; });
    for (const Route& route : routes_) {
        if (is_literal && route.segments != path) continue;
        auto places = match(route.segments, path);
        if (!places) continue;
        if (route.method != method) {
            found.allowed.push_back(route.method);
            if (route.method == "GET") found.allowed.emplace_back("HEAD");
            continue;
        }
        found.handler = &route.handler;
        found.request.route = route.pattern;
        found.request.path = *std::move(places);
        break;
    }
    if (found.handler == nullptr && found.allowed.empty() && method == "GET" && missing_) {
        found.handler = &missing_;
        found.request.route = "none";
    }
    found.request.request = std::move(request);
    return found;
}

} // namespace http
