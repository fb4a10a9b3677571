// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "api_share.hpp"

#include "problem_of.hpp"

#include <escqrs/core/error.hpp>

#include <chrono>
#include <exception>
#include <new>
#include <string>
#include <utility>

namespace conference::web {

http::Response ApiShare::answer(escqrs::FunctionRef<http::Response()> work) const
{
    std::optional<http::Response> response;
    if (auto problem = problem_in([&] { response = work(); })) return *std::move(problem);
    return *std::move(response);
}

std::optional<http::Response> ApiShare::problem_in(escqrs::FunctionRef<void()> work) const
{
    const auto told = [this](const std::exception& error) {
        const http::Problem problem = problem_of(error);
        if (problem.status >= 500) log(std::string{"web: "} + error.what());
        return http::to_response(problem);
    };
    try {
        work();
        return std::nullopt;
    } catch (const std::bad_alloc&) {
        throw; // the server knows how to answer without memory
    } catch (const std::exception& error) {
        return told(error);
    } catch (...) {
        return told(escqrs::Error{escqrs::text_of(std::current_exception())});
    }
}

void ApiShare::run_in_time(http::BlockingPool& pool, const http::Responder& responder, std::function<void()> work) const
{
    const auto latest = std::chrono::steady_clock::now() + parts.max_thread_wait;
    const bool is_taken = pool.try_run([responder, latest, work = std::move(work)] {
        if (std::chrono::steady_clock::now() > latest) responder.respond(http::busy());
        else work();
    });
    if (!is_taken) responder.respond(http::busy());
}

void ApiShare::run(http::BlockingPool& pool, http::RoutedRequest request, const http::Responder& responder,
                   Work work) const
{
    auto shared = std::make_shared<const http::RoutedRequest>(std::move(request));
    run_in_time(pool, responder, [self = shared_from_this(), shared, responder, work = std::move(work)] {
        responder.respond_with([&] { return self->answer([&] { return work(*shared); }); });
    });
}

} // namespace conference::web
