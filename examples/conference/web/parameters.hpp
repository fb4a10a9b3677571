// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../http/problem.hpp"

#include <escqrs/core/identifiers.hpp>

#include <cstdint>
#include <string>

// What stands in a request's path and query. What makes no sense is a 400 that names the field.
namespace conference::web {

template <class Identifier>
Identifier parse_id(const std::string& text, const char* field)
{
    try {
        const auto id = Identifier::parse(text);
        if (!id.is_nil()) return id;
    } catch (const escqrs::InvalidIdentifier&) { // NOLINT(bugprone-empty-catch): refused below
    }
    http::refuse(400, "malformed-id",
                 "This is not an id: expected 36 characters like 123e4567-e89b-12d3-a456-426614174000.", field);
}

std::uint64_t parse_number(const std::string& text, const char* field, std::uint64_t least, std::uint64_t most);

} // namespace conference::web
