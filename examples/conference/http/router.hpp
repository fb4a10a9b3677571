// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "http_server.hpp"

#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace http {

/// A request whose route is known: what stood in the path's places, and the query. All percent-decoded.
struct RoutedRequest {
    Request request;
    std::string_view route; ///< the pattern, for metrics
    std::map<std::string, std::string, std::less<>> path;
    std::map<std::string, std::string, std::less<>> query;
};

/// The target is not a URL path.
class BadTarget : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Finds the handler of a request: `router.on("GET", "/api/attendee/{id}", handler)`.
/// @par Thread safety  register first; `find` may then be called from any thread
class Router {
public:
    using Handler = std::function<void(RoutedRequest, Responder)>;

    void on(std::string method, std::string pattern, Handler handler);

    /// Handles GET requests for paths that no pattern fits. Without it they are answered with a problem.
    void on_missing(Handler handler) { missing_ = std::move(handler); }

    /// What a request leads to: a handler; or none, and the methods that the path does have.
    struct Match {
        const Handler* handler = nullptr;
        RoutedRequest request;
        std::vector<std::string> allowed;
    };

    /// HEAD is answered by the handler of GET.
    /// @throws BadTarget
    Match find(Request request) const;

private:
    struct Route {
        std::string method;
        std::string pattern;
        std::vector<std::string> segments;
        Handler handler;
    };

    std::vector<Route> routes_;
    Handler missing_;
};

} // namespace http
