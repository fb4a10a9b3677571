// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/error.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace escqrs::inline v0 {

/// The tables of one version of a read model. In SQL texts `{v}` expands to `_v` and the version: table `loans{v}` of
/// version 2 is `loans_v2`.
struct ReadModelSchema {
    /// Of the read model, the same for all its versions.
    std::string name;
    unsigned version = 1; ///< a higher one replaces a lower one
    /// Names without `{v}`, under which readers find the live version's tables.
    std::vector<std::string> tables;
    /// Creates each of them with `{v}` after its name, in an order that suits their foreign keys.
    std::string sql;
};

namespace detail {

/// `text` with the version in place of each `{v}`.
inline std::string with_version(std::string_view text, unsigned version)
{
    constexpr std::string_view mark = "{v}";
    std::string result;
    while (true) {
        const auto found = text.find(mark);
        result += text.substr(0, found);
        if (found == std::string_view::npos) return result;
        result.append("_v").append(std::to_string(version));
        text.remove_prefix(found + mark.size());
    }
}

/// @throws InvalidOption if a name is not made of letters, digits and underscores
inline void check_names(const ReadModelSchema& schema)
{
    const auto check = [&](const std::string& name) {
        const bool is_good =
            !name.empty() && name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                                    "0123456789_") == std::string::npos;
        if (!is_good) {
            throw InvalidOption{"name or tables of read model '" + schema.name + "'", "letters, digits and underscores",
                                "'" + name + "'"};
        }
    };
    check(schema.name);
    for (const std::string& table : schema.tables) check(table);
}

[[noreturn]] inline void throw_superseded(const ReadModelSchema& schema)
{
    throw ReadModelSuperseded{"read model '" + schema.name + "', version " + std::to_string(schema.version) +
                              ": a newer version has taken its place"};
}

} // namespace detail

} // namespace escqrs::inline v0
