// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "command_metrics.hpp"

#include "problem_of.hpp"

#include <chrono>
#include <exception>
#include <string>

namespace conference::web {
namespace {

/// What became of a command, in the words of its answer.
std::string outcome_of(const std::exception& error)
{
    const http::Problem problem = problem_of(error);
    if (problem.status == 409) return "conflict";
    return problem.status < 500 ? "refused" : "failed";
}

} // namespace

escqrs::CommandMiddleware measure_commands(http::Metrics& metrics)
{
    return [&metrics](const escqrs::CommandInfo& command, escqrs::FunctionRef<void()> next) {
        const std::string name{command.name.substr(command.name.rfind(':') + 1)};
        const auto count = [&](const std::string& outcome) {
            metrics
                .counter("conference_commands_total", "Commands by outcome.", {{"command", name}, {"outcome", outcome}})
                .add();
        };
        const auto start = std::chrono::steady_clock::now();
        try {
            next();
        } catch (const std::exception& error) {
            count(outcome_of(error));
            throw;
        }
        count("accepted");
        metrics.histogram("conference_command_seconds", "Time to handle an accepted command.", {{"command", name}})
            .observe(std::chrono::steady_clock::now() - start);
    };
}

} // namespace conference::web
