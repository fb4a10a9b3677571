// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// The steps by which SQLite files are made and upgraded.
#include <escqrs/sqlite/detail/event_log_schema.hpp>
#include <escqrs/sqlite/detail/message_queue_sql.hpp>
#include <escqrs/sqlite/detail/read_model_tables.hpp>
#include <escqrs/testing/catch2.hpp>

#include "support/schema_steps.hpp"
#include "support/temporary_folder.hpp"

#include <fstream>
#include <string>
#include <vector>

namespace detail = escqrs::sqlite::detail;

namespace {

std::vector<std::string> steps_of(const escqrs::sqlite::Schema& schema)
{
    std::vector<std::string> steps{schema.sql};
    steps.insert(steps.end(), schema.upgrades.begin(), schema.upgrades.end());
    return steps;
}

} // namespace

TEST_CASE("sqlite: the steps of the schemas stay as they are, since files were made by them")
{
    const auto problems = [](const std::string& schema, const std::vector<std::string>& steps) {
        return problems_of_steps(ESCQRS_SCHEMA_STEPS, schema, steps);
    };
    const std::string none;
    CHECK(problems("sqlite/event_store", steps_of(detail::event_log_schema)) == none);
    CHECK(problems("sqlite/message_queue", steps_of(detail::queue_sql::schema)) == none);
    CHECK(problems("sqlite/checkpoints", {detail::create_checkpoints, detail::add_bookmarks}) == none);
    CHECK(problems("sqlite/stream_checkpoints", {detail::create_stream_checkpoints}) == none);
    CHECK(problems("sqlite/parked_streams", {detail::create_parked_streams}) == none);
    CHECK(problems("sqlite/read_models", {detail::create_read_models}) == none);
}

TEST_CASE("a step that has changed, is gone, or is not in the list is named, with what to do")
{
    const TemporaryFolder folder;
    const std::string list = folder.file("steps.txt");
    std::ofstream{list} << "queue 1 b6475e9b-3d6c-546b-94b2-0b155f13c137\nother 1 x\nqueue 2 x\n";
    CHECK_THAT(problems_of_steps(list, "queue", {"CREATE", "ALTER"}),
               Catch::Contains("step 2 of schema queue has changed") && Catch::Contains("add a step"));
    CHECK_THAT(problems_of_steps(list, "queue", {"CREATE"}), Catch::Contains("step 2 of schema queue is gone"));
    CHECK_THAT(problems_of_steps(list, "other", {"CREATE", "ALTER"}), Catch::Contains("add the line 'other 2 "));
}
