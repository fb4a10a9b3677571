// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/domain/event.hpp>
#include <escqrs/testing/detail/align_events.hpp>
#include <escqrs/testing/fields_of.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace escqrs::inline v0::testing {

/// What a test expects at one place among the events: `Event`, a text that describes it, and how an event of that type
/// differs from it; nothing if it is as expected.
template <class T>
concept EventExpectation = requires(const T& expectation, const typename T::Event& found) {
    { expectation.text() } -> std::convertible_to<std::string>;
    { expectation.complaints(found) } -> std::same_as<std::vector<std::string>>;
};

/// An event with these values, except for the fields that do not matter. Made by `ignoring`, and from an event itself.
template <class E>
class Exactly {
public:
    using Event = E; ///< the type that is expected

    /// @param ignored  paths of fields that may differ, with all within them: `contact.phones`
    explicit Exactly(E event, std::vector<std::string> ignored = {})
        : event_{std::move(event)}, ignored_{std::move(ignored)}
    {
    }

    std::string text() const { return describe(event_); } ///< the event as it is expected

    /// One line for each field that differs; none if the event is as expected.
    std::vector<std::string> complaints(const E& found) const
    {
        std::vector<std::string> complaints;
        for (const auto& difference : differences(fields_of(event_), fields_of(found))) {
            if (!is_ignored(difference.path)) complaints.push_back(to_string(difference));
        }
        return complaints;
    }

private:
    /// A path stands for everything within it, too.
    bool is_ignored(std::string_view path) const
    {
        return std::any_of(ignored_.begin(), ignored_.end(), [&](std::string_view ignored) {
            return path.starts_with(ignored) &&
                   (path.size() == ignored.size() || path[ignored.size()] == '.' || path[ignored.size()] == '[');
        });
    }

    E event_;
    std::vector<std::string> ignored_;
};

/// An event of type `E` for which a condition holds. Made by `where` and `any`.
template <class E, class Predicate>
class Where {
public:
    using Event = E; ///< the type that is expected

    /// @param holds      called with the event
    /// @param condition  says in words what it checks, after "that"; may be empty
    Where(Predicate holds, std::string condition) : holds_{std::move(holds)}, condition_{std::move(condition)} {}

    /// The type, and the condition in words.
    std::string text() const
    {
        return std::string{event_name<E>()} + (condition_.empty() ? "" : " that " + condition_);
    }

    /// One line if the condition does not hold, else none.
    std::vector<std::string> complaints(const E& found) const
    {
        if (holds_(found)) return {};
        return {"expected one that " + condition_ + ", found " + describe(found)};
    }

private:
    Predicate holds_;
    std::string condition_;
};

/// This event, whatever the values of some of its fields: `ignoring(EmailChangeRequested{"ada@example.org", {}},
/// "confirmationId")`.
template <class E, class... Paths>
Exactly<E> ignoring(E event, const Paths&... paths)
{
    return Exactly<E>{std::move(event), {std::string{paths}...}};
}

/// An event of type `E` for which `holds(event)`; the condition completes "an event that ...", for people.
template <class E, class Predicate>
Where<E, Predicate> where(Predicate holds, std::string condition = "fulfils the condition")
{
    static_assert(std::is_invocable_r_v<bool, const Predicate&, const E&>,
                  "escqrs: the condition of where<E> is called with (const E&) and returns bool");
    return {std::move(holds), std::move(condition)};
}

/// Any event of type `E`.
template <class E>
auto any()
{
    const auto holds = [](const E&) { return true; };
    return Where<E, decltype(holds)>{holds, {}};
}

namespace detail {

template <class T>
struct EventExpected {
    using Type = T;
};
template <EventExpectation T>
struct EventExpected<T> {
    using Type = typename T::Event;
};

template <class T>
auto as_expectation(const T& expected)
{
    if constexpr (EventExpectation<T>) return expected;
    else return Exactly<T>{expected};
}

template <class Variant>
std::string describe_variant(const Variant& event)
{
    return std::visit([](const auto& typed) { return describe(typed); }, event);
}

template <class Expectation, class Variant>
EventVerdict judge(const Expectation& expected, const Variant& found)
{
    using E = typename Expectation::Event;
    const auto* const event = std::get_if<E>(&found);
    if (event == nullptr) return {"expected " + expected.text() + "\n     found    " + describe_variant(found), 2};
    const auto complaints = expected.complaints(*event);
    if (complaints.empty()) return {std::string{event_name<E>()} + ": as expected", 0};
    EventVerdict verdict{std::string{event_name<E>()}, 1};
    for (const auto& complaint : complaints) verdict.text.append("\n       ").append(complaint);
    return verdict;
}

inline std::string counted(std::size_t count, std::string_view thing)
{
    if (count == 0) return "no " + std::string{thing} + "s";
    return std::to_string(count) + " " + std::string{thing} + (count == 1 ? "" : "s");
}

/// `title`, then the lines, numbered.
inline std::string numbered(std::string title, const std::vector<std::string>& lines)
{
    for (std::size_t at = 0; at < lines.size(); ++at) {
        title.append("\n  ").append(std::to_string(at + 1)).append(". ").append(lines[at]);
    }
    return title;
}

/// The difference between events and what was expected of them, for people; empty if there is none.
template <class Variant, class... Expected>
std::string compare_events(std::span<const Variant> found, const Expected&... expected)
{
    std::vector<std::vector<EventVerdict>> verdicts;
    std::vector<std::string> missing;
    bool as_expected = sizeof...(Expected) == found.size();
    [[maybe_unused]] const auto judge_next = [&](const auto& expectation) {
        const std::size_t place = verdicts.size();
        auto& row = verdicts.emplace_back();
        for (const auto& event : found) row.push_back(judge(expectation, event));
        missing.push_back("expected " + expectation.text() + ", found no event");
        as_expected = as_expected && row[place].cost == 0;
    };
    (judge_next(as_expectation(expected)), ...);
    if (as_expected) return {};
    std::vector<std::string> superfluous;
    for (const auto& event : found) superfluous.push_back("expected no event, found " + describe_variant(event));
    return numbered("expected " + counted(sizeof...(Expected), "event") + ", found " +
                        (found.size() != sizeof...(Expected) ? counted(found.size(), "event")
                         : found.size() == 1                 ? "another"
                                                             : "others"),
                    align_events(verdicts, missing, superfluous));
}

/// Stops the compilation with a sentence if an expectation names a type that is no event of the list.
template <class Types, class... Expected>
constexpr void require_events() noexcept
{
    static_assert((Types::template contains<typename EventExpected<Expected>::Type> && ...),
                  "escqrs: a test speaks of something that is not an event of the aggregate or decider under test");
}

} // namespace detail
} // namespace escqrs::inline v0::testing
