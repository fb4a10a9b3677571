// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// The steps by which the read model's tables are made and upgraded.
#include "read_model/read_model_file.hpp"
#include "read_model/read_model_schema.hpp"

#include <escqrs/testing/catch2.hpp>

#include "support/schema_steps.hpp"

#include <string>
#include <vector>

TEST_CASE("conference: the steps of the read model's schemas stay as they are, since databases were made by them")
{
    const auto problems = [](const std::string& schema, const std::vector<std::string>& steps) {
        return problems_of_steps(ESCQRS_SCHEMA_STEPS, schema, steps);
    };
    const std::string none;
    const auto& file = conference::read_model_schema;
    std::vector<std::string> steps{file.sql};
    steps.insert(steps.end(), file.upgrades.begin(), file.upgrades.end());
    CHECK(problems("conference/sqlite", steps) == none);
    const auto& server = conference::read_model_tables;
    CHECK(problems("conference/postgres", {server.steps.begin(), server.steps.end()}) == none);
}
