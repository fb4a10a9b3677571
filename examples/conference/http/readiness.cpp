// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "readiness.hpp"

#include "problem.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <exception>
#include <utility>

namespace conference::http {

namespace json = boost::json;

Readiness::Readiness(std::vector<ReadinessCheck> checks, Log log, std::chrono::milliseconds patience)
    : checks_{std::move(checks)}, log_{std::move(log)}, patience_{patience}
{
}

void Readiness::answer(const Responder& responder)
{
    const auto now = std::chrono::steady_clock::now();
    std::unique_lock lock{mutex_};
    if (is_overdue(now)) {
        const auto problems = found_so_far(now);
        lock.unlock();
        return responder.respond(response_of(problems));
    }
    waiting_.push_back(responder);
    if (is_looking_ || begin_look(now)) return;
    waiting_.pop_back();
    lock.unlock();
    responder.respond(busy());
}

/// With the lock held.
bool Readiness::begin_look(Time now)
{
    found_.clear();
    current_.clear();
    began_ = now;
    is_looking_ = keep_time(patience_) && pool_.try_run([this] { look(); });
    return is_looking_;
}

/// With the lock held.
bool Readiness::keep_time(std::chrono::milliseconds until_overdue)
{
    if (!is_timed_) is_timed_ = pool_.run_after(until_overdue, [this] { answer_overdue(); });
    return is_timed_;
}

/// Ends after a check that took too long, as if it had not answered: the others were not made.
void Readiness::look() noexcept
{
    bool is_whole = true;
    try {
        for (const auto& check : checks_) {
            {
                const std::scoped_lock lock{mutex_};
                current_ = check.name;
            }
            auto problem = problem_of(check);
            const std::scoped_lock lock{mutex_};
            const auto now = std::chrono::steady_clock::now();
            const bool is_late = is_overdue(now);
            if (problem) found_.push_back({check.name, *std::move(problem)});
            else if (is_late) found_ = found_so_far(now);
            if (is_late) break;
        }
    } catch (...) {
        is_whole = false;
        log_("not ready: no memory");
    }
    std::vector<Responder> waiting;
    std::vector<Problem> found;
    {
        const std::scoped_lock lock{mutex_};
        is_looking_ = false;
        waiting.swap(waiting_);
        found.swap(found_);
    }
    for (const Responder& responder : waiting)
        responder.respond_with([&] { return is_whole ? response_of(found) : busy(); });
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

void Readiness::answer_overdue()
{
    const auto now = std::chrono::steady_clock::now();
    std::vector<Responder> waiting;
    std::vector<Problem> found;
    {
        const std::scoped_lock lock{mutex_};
        is_timed_ = false;
        if (!is_looking_) return;
        if (!is_overdue(now)) { // it is another look than the one that it was set for
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(began_ + patience_ - now);
            (void)keep_time(left);
            return;
        }
        waiting.swap(waiting_);
        found = found_so_far(now);
    }
    for (const Responder& responder : waiting) responder.respond_with([&] { return response_of(found); });
}

/// With the lock held.
std::vector<Readiness::Problem> Readiness::found_so_far(Time now) const
{
    auto problems = found_;
    const auto silence = std::chrono::duration_cast<std::chrono::milliseconds>(now - began_);
    problems.push_back({current_, "has not answered for " + std::to_string(silence.count()) + " ms"});
    return problems;
}

Response Readiness::response_of(const std::vector<Problem>& problems)
{
    json::array texts;
    for (const auto& [name, problem] : problems) texts.push_back(json::object{{"name", name}, {"problem", problem}});
    const unsigned status = problems.empty() ? 200 : 503;
    const json::object body{{"ready", problems.empty()}, {"problems", std::move(texts)}};
    Response response{
        status, {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}}, json::serialize(body)};
    if (status == 503) response.headers.emplace_back("Retry-After", "1");
    return response;
}

} // namespace conference::http
