// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/identifiers.hpp>
#include <escqrs/domain/access.hpp>
#include <escqrs/testing/detail/compare_values.hpp>
#include <escqrs/testing/detail/thrown.hpp>
#include <escqrs/testing/expectation_failed.hpp>
#include <escqrs/testing/expected_events.hpp>

#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace escqrs::inline v0::testing {

template <class Aggregate>
class Given;

/// The outcome of an action: the events raised, or the exception thrown. An expectation that is not met throws
/// `ExpectationFailed`; one that is met returns a `Given` to which those events have happened.
template <class Aggregate>
class Outcome {
public:
    /// Runs `create`, which returns an aggregate or throws.
    template <class Create>
    Outcome(std::string title, std::vector<std::string> history, const std::source_location& where, Create&& create)
        : title_{std::move(title)}, history_{std::move(history)}, where_{where}
    {
        try {
            aggregate_.emplace(create());
        } catch (...) {
            thrown_ = std::current_exception();
        }
    }

    /// Runs `action` on `aggregate`.
    template <class Action>
    Outcome(std::string title, std::vector<std::string> history, const std::source_location& where, Aggregate aggregate,
            Action&& action)
        : title_{std::move(title)}, history_{std::move(history)}, where_{where}, aggregate_{std::move(aggregate)}
    {
        try {
            action(*aggregate_);
        } catch (...) {
            thrown_ = std::current_exception();
        }
    }

    /// Expects these events, in this order, and no others. Takes events, and what `ignoring`, `where` and `any` return.
    template <class... Expected>
    Given<Aggregate> then(const Expected&... expected) const
    {
        using Types = typename Aggregate::EventTypes;
        detail::require_events<Types, Expected...>();
        if (thrown_) {
            fail("expected " + detail::counted(sizeof...(Expected), "event") + ", but " + detail::thrown_text(thrown_));
        }
        if (const auto text = detail::compare_events(events(), expected...); !text.empty()) fail(text);
        return going_on();
    }

    /// Expects that nothing happens, neither an event nor an exception.
    Given<Aggregate> then_nothing() const { return then(); }

    /// Expects an exception of type `E` whose text contains `part`, and no event before it. An exception that is not a
    /// `std::exception` has no text.
    template <class E>
    Given<Aggregate> then_throws(std::string_view part = {}) const
    {
        expect_thrown<E>([&](const E& error) {
            if (part.empty()) return;
            std::string_view text;
            if constexpr (requires { error.what(); }) text = error.what();
            if (text.find(part) == std::string_view::npos) {
                fail("expected " + detail::short_name<E>() + " with " + detail::quoted(part) + " in its text, found " +
                     detail::quoted(text));
            }
        });
        return going_on();
    }

    /// Expects an exception of type `E` for which `query` returns the expected value:
    /// `then_throws<RuleViolation>(&RuleViolation::rule, "same-email")`.
    template <class E, class Query, class Expected>
    Given<Aggregate> then_throws(const Query& query, const Expected& expected) const
    {
        expect_thrown<E>([&](const E& error) {
            using Found = std::remove_cvref_t<std::invoke_result_t<const Query&, const E&>>;
            const Found found = std::invoke(query, error);
            if (const auto text = detail::compare_values(found, expected); !text.empty()) {
                fail(detail::short_name<E>() + ": " + text);
            }
        });
        return going_on();
    }

private:
    using Event = typename Aggregate::Event;

    std::span<const Event> events() const noexcept
    {
        return aggregate_ ? aggregate_->uncommitted_events() : std::span<const Event>{};
    }

    template <class E, class Check>
    void expect_thrown(const Check& check) const;

    /// The same aggregate, as if what it raised were stored.
    Given<Aggregate> going_on() const;

    std::vector<std::string> raised() const
    {
        std::vector<std::string> lines;
        for (const auto& event : events()) lines.push_back(detail::describe_variant(event));
        return lines;
    }

    [[noreturn]] void fail(std::string text) const
    {
        text.append("\n").append(detail::numbered(history_.empty() ? "given nothing" : "given", history_)).append("\n");
        if (!title_.empty()) text.append(title_).append("\n");
        throw ExpectationFailed{text.append(detail::place_text(where_))};
    }

    std::string title_;
    std::vector<std::string> history_;
    std::source_location where_;
    std::optional<Aggregate> aggregate_;
    std::exception_ptr thrown_;
};

template <class Aggregate>
template <class E, class Check>
void Outcome<Aggregate>::expect_thrown(const Check& check) const
{
    const auto expected = "expected " + detail::short_name<E>() + " to be thrown, but ";
    if (!thrown_) {
        const auto found = raised();
        if (found.empty()) fail(expected + "nothing happened");
        fail(detail::numbered(expected + (found.size() == 1 ? "this happened" : "these happened"), found));
    }
    try {
        std::rethrow_exception(thrown_);
    } catch (const E& error) {
        check(error);
    } catch (...) {
        fail(expected + detail::thrown_text(thrown_));
    }
    if (const auto lost = raised(); !lost.empty()) {
        fail(detail::numbered("expected " + detail::short_name<E>() + " to be thrown before any event, but it raised",
                              lost));
    }
}

template <class Aggregate>
Given<Aggregate> Outcome<Aggregate>::going_on() const
{
    if (!aggregate_) return Given<Aggregate>{std::nullopt, history_};
    auto history = history_;
    for (auto& line : raised()) history.push_back(std::move(line));
    Aggregate after = *aggregate_;
    const StreamVersion version{after.version().value() + after.uncommitted_events().size()};
    Access::mark_committed(after, version, GlobalPosition{version.value()});
    return Given<Aggregate>{std::move(after), std::move(history)};
}

} // namespace escqrs::inline v0::testing
