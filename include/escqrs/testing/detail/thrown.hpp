// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/core/demangle.hpp>

#include <exception>
#include <string>
#include <typeinfo>

namespace escqrs::inline v0::testing::detail {

/// `conference::RuleViolation was thrown: This is the address already in use.`
inline std::string thrown_text(const std::exception_ptr& thrown)
{
    try {
        std::rethrow_exception(thrown);
    } catch (const std::exception& error) {
        return boost::core::demangle(typeid(error).name()) + " was thrown: " + error.what();
    } catch (...) {
        return "something that is no std::exception was thrown";
    }
}

} // namespace escqrs::inline v0::testing::detail
