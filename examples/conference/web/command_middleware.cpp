// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "command_middleware.hpp"

#include "problem_of.hpp"

#include <escqrs/commands/middleware/deduplication.hpp>
#include <escqrs/commands/middleware/retry_on_conflict.hpp>
#include <escqrs/commands/middleware/timing.hpp>

#include <exception>
#include <string_view>

namespace conference::web {
namespace {

/// What became of a command, in the words of its answer.
std::string_view outcome_of(const std::exception_ptr& failure)
{
    if (!failure) return "accepted";
    try {
        std::rethrow_exception(failure);
    } catch (const std::exception& error) {
        const http::Problem problem = problem_of(error);
        if (problem.status == 409) return "conflict";
        return problem.status < 500 ? "refused" : "failed";
    } catch (...) {
        return "failed";
    }
}

escqrs::CommandMiddleware measure_commands(http::Metrics& metrics)
{
    return escqrs::timing([&metrics](const escqrs::CommandTiming& timing) {
        const auto full_name = timing.command.name;
        const auto name = full_name.substr(full_name.rfind(':') + 1);
        metrics
            .counter("conference_commands_total", "Commands by outcome.",
                     {{"command", name}, {"outcome", outcome_of(timing.error)}})
            .add();
        if (timing.error) return;
        metrics.histogram("conference_command_seconds", "Time to handle an accepted command.", {{"command", name}})
            .observe(timing.duration);
    });
}

} // namespace

void use_command_middleware(escqrs::CommandBus& bus, const AttendeeRepository& attendees, http::Metrics& metrics)
{
    bus.use(measure_commands(metrics));
    bus.use(escqrs::deduplication(attendees));
    bus.use(escqrs::retry_on_conflict());
}

} // namespace conference::web
