// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/uuid/name_generator_sha1.hpp>
#include <boost/uuid/uuid_io.hpp>

#include <cstddef>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

/// Compares the steps that make a schema with those in `list`, whose lines are "schema number hash".
/// @return what is wrong, in a sentence each; empty if nothing is
inline std::string problems_of_steps(const std::string& list, const std::string& schema,
                                     const std::vector<std::string>& steps)
{
    std::map<std::size_t, std::string> expected;
    std::ifstream file{list};
    if (!file) throw std::runtime_error{"cannot read " + list};
    std::string name;
    std::string hash;
    for (std::size_t number = 0; file >> name >> number >> hash;) {
        if (name == schema) expected.emplace(number, hash);
    }
    std::string problems;
    for (std::size_t number = 1; number <= steps.size(); ++number) {
        const std::string found =
            to_string(boost::uuids::name_generator_sha1{boost::uuids::ns::oid()}(steps[number - 1]));
        const auto known = expected.find(number);
        const std::string step = "step " + std::to_string(number) + " of schema " + schema;
        if (known == expected.end()) {
            problems += step + " is new: add the line '" + schema + ' ' + std::to_string(number) + ' ' + found +
                        "' to tests/schema_steps.txt\n";
        } else if (known->second != found) {
            problems += step + " has changed: databases were made by it, so leave it as it is and add a step\n";
        }
        if (known != expected.end()) expected.erase(known);
    }
    for (const auto& [number, of] : expected) {
        problems += "step " + std::to_string(number) + " of schema " + schema +
                    " is gone: databases were made by it, so put it back and add a step\n";
    }
    return problems;
}
