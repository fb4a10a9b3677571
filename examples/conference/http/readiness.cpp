// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "readiness.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <exception>
#include <utility>

namespace http {

namespace json = boost::json;

namespace {

std::string text_of(std::chrono::milliseconds silence)
{
    return "has not answered for " + std::to_string(silence.count()) + " ms";
}

} // namespace

Readiness::Readiness(std::vector<ReadinessCheck> checks, Log log, std::chrono::milliseconds patience)
    : checks_{std::move(checks)}, log_{std::move(log)},
      look_{{[this] {
                 found_.clear();
                 current_.clear();
             },
             [this] { look(); }, [this](const TimedLook::Overdue& overdue) { return response(overdue); }},
            patience}
{
}

/// Ends after a check that took too long, as if it had not answered: the others were not made.
void Readiness::look()
{
    try {
        for (const auto& check : checks_) {
            look_.note([&](const auto&) { current_ = check.name; });
            auto problem = problem_of(check);
            const bool is_late = look_.note([&](const TimedLook::Overdue& overdue) {
                if (problem) found_.push_back({check.name, *std::move(problem)});
                else if (overdue) found_.push_back({check.name, text_of(*overdue)});
            });
            if (is_late) return;
        }
    } catch (...) {
        log_("not ready: no memory");
        throw;
    }
}

std::optional<std::string> Readiness::problem_of(const ReadinessCheck& check)
{
    try {
        return check.problem();
    } catch (const std::exception& error) {
        log_("not ready: " + check.name + ": " + error.what());
    } catch (...) {
        log_("not ready: " + check.name);
    }
    return "not available";
}

/// With the look's lock held.
Response Readiness::response(const TimedLook::Overdue& overdue) const
{
    json::array texts;
    for (const auto& [name, problem] : found_) texts.push_back(json::object{{"name", name}, {"problem", problem}});
    if (overdue) texts.push_back(json::object{{"name", current_}, {"problem", text_of(*overdue)}});
    const bool is_ready = texts.empty();
    const json::object body{{"ready", is_ready}, {"problems", std::move(texts)}};
    Response response{is_ready ? 200U : 503U,
                      {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}},
                      json::serialize(body)};
    if (!is_ready) response.headers.emplace_back("Retry-After", "1");
    return response;
}

} // namespace http
