// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <concepts>
#include <type_traits>
#include <utility>

namespace escqrs::inline v0 {

template <class Signature>
class FunctionRef;

/// A reference to something callable, for parameters only: it must not outlive the call it is passed to.
template <class Result, class... Arguments>
class FunctionRef<Result(Arguments...)> {
public:
    /// Refers to `function`, which is not copied.
    template <class Function>
        requires(!std::same_as<std::remove_cvref_t<Function>, FunctionRef> &&
                 std::is_invocable_r_v<Result, Function&, Arguments...>)
    FunctionRef(Function&& function) noexcept // NOLINT(google-explicit-constructor): a lambda is passed as it is
        : object_{const_cast<void*>(static_cast<const void*>(&function))}, // NOLINT: given back as it was
          call_{[](void* object, Arguments... arguments) -> Result {
              return (*static_cast<std::remove_reference_t<Function>*>(object))(std::forward<Arguments>(arguments)...);
          }}
    {
    }

    /// Calls the function; what it throws passes through.
    Result operator()(Arguments... arguments) const { return call_(object_, std::forward<Arguments>(arguments)...); }

private:
    void* object_;
    Result (*call_)(void*, Arguments...);
};

} // namespace escqrs::inline v0
