// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/commands/command_info.hpp>
#include <escqrs/core/error.hpp>

#include <concepts>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace escqrs::inline v0 {

/// A middleware that checks each `Command` before it continues; other commands pass.
///
/// `validate` is called as `validate(const Command&)`, from any thread. It throws, or returns the problems it finds, in
/// words: none means that the command is valid.
/// @throws InvalidCommand  from `send`, with the problems; the handler is not called
template <class Command, class Validate>
CommandMiddleware validation(Validate validate)
{
    constexpr bool is_callable = std::is_invocable_v<const Validate&, const Command&>;
    using Found = typename std::conditional_t<is_callable, std::invoke_result<const Validate&, const Command&>,
                                              std::type_identity<void>>::type;
    constexpr bool may_throw = is_callable && std::is_void_v<Found>;
    constexpr bool tells_problems = is_callable && std::convertible_to<Found, std::vector<std::string>>;
    static_assert(may_throw || tells_problems,
                  "escqrs: a validation is called with (const Command&) and throws, or returns the problems as "
                  "std::vector<std::string>");
    return [validate = std::move(validate)](const CommandInfo& info, NextHandler next) {
        if (const auto* const command = info.as<Command>()) {
            if constexpr (may_throw) {
                validate(*command);
            } else if constexpr (tells_problems) {
                std::vector<std::string> problems = validate(*command);
                if (!problems.empty()) throw InvalidCommand{std::string{info.name}, std::move(problems)};
            }
        }
        next();
    };
}

} // namespace escqrs::inline v0
