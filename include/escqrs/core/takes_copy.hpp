// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// Shared by rooms; not API.

#include <type_traits>

namespace escqrs::inline v0::detail {

template <class Parameter, class Argument>
inline constexpr bool is_copy = false;
template <class Parameter, class Argument>
    requires(std::is_base_of_v<std::remove_cv_t<Parameter>, Argument> && !std::is_reference_v<Parameter>)
inline constexpr bool is_copy<Parameter, Argument> = true;

/// True if the first parameter of a function or of a call operator is a copy of the argument.
template <class Signature, class Argument>
inline constexpr bool first_is_copy = false;
template <class R, class First, class... Others, class Argument>
inline constexpr bool first_is_copy<R(First, Others...), Argument> = is_copy<First, Argument>;
template <class R, class First, class... Others, class Argument>
inline constexpr bool first_is_copy<R(First, Others...) noexcept, Argument> = is_copy<First, Argument>;
template <class R, class C, class First, class... Others, class Argument>
inline constexpr bool first_is_copy<R (C::*)(First, Others...), Argument> = is_copy<First, Argument>;
template <class R, class C, class First, class... Others, class Argument>
inline constexpr bool first_is_copy<R (C::*)(First, Others...) const, Argument> = is_copy<First, Argument>;
template <class R, class C, class First, class... Others, class Argument>
inline constexpr bool first_is_copy<R (C::*)(First, Others...) noexcept, Argument> = is_copy<First, Argument>;
template <class R, class C, class First, class... Others, class Argument>
inline constexpr bool first_is_copy<R (C::*)(First, Others...) const noexcept, Argument> = is_copy<First, Argument>;

/// True if `Function` takes its argument by value, so that its changes are lost. False if that is unknown, as with
/// overloaded call operators.
template <class Function, class Argument>
consteval bool takes_copy()
{
    using F = std::remove_cvref_t<Function>;
    if constexpr (std::is_function_v<std::remove_pointer_t<F>>) {
        return first_is_copy<std::remove_pointer_t<F>, Argument>;
    } else if constexpr (requires { &F::operator(); }) {
        return first_is_copy<decltype(&F::operator()), Argument>;
    } else if constexpr (requires { &F::template operator()<Argument>; }) { // [](auto item) { ... }
        return first_is_copy<decltype(&F::template operator()<Argument>), Argument>;
    } else return false;
}

} // namespace escqrs::inline v0::detail
