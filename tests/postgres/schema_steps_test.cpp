// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// The steps by which PostgreSQL schemas are made and upgraded.
#include <escqrs/postgres/detail/event_log_opening.hpp>
#include <escqrs/postgres/read_model_schema.hpp>
#include <escqrs/testing/catch2.hpp>

#include "support/schema_steps.hpp"

#include <iterator>
#include <string>
#include <vector>

namespace detail = escqrs::postgres::detail;

TEST_CASE("postgres: the steps of the schemas stay as they are, since databases were made by them")
{
    const auto problems = [](const std::string& schema, const std::vector<std::string>& steps) {
        return problems_of_steps(ESCQRS_SCHEMA_STEPS, schema, steps);
    };
    const std::string none;
    const auto event_log = detail::event_log_steps(0);
    CHECK(problems("postgres/event_store", {event_log.begin(), event_log.end()}) == none);
    CHECK(problems("postgres/event_store_partitioned", {detail::create_event_log(10'000)}) == none);
    CHECK(problems("postgres/read_models",
                   {std::begin(detail::read_model_steps), std::end(detail::read_model_steps)}) == none);
}
