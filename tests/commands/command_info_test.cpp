// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/commands/command_info.hpp>
#include <escqrs/testing/catch2.hpp>

#include <optional>
#include <string>
#include <variant>

using namespace escqrs;

namespace {

struct RenameThing {
    std::string name;
};

struct Count {
    using Result = int;
};

struct Forget {
    using Result = void;
};

} // namespace

TEST_CASE("a middleware sees the command with its type")
{
    const RenameThing rename{"Ada"};
    const CommandInfo info{rename};
    REQUIRE(info.as<RenameThing>() != nullptr);
    CHECK(info.as<RenameThing>()->name == "Ada");
    CHECK(info.as<Count>() == nullptr);
    CHECK_THAT(std::string{info.name}, Catch::EndsWith("RenameThing"));
}

TEST_CASE("a middleware sees where the result goes, with its type")
{
    const Count count;
    std::optional<int> result;
    const CommandInfo info{count, no_metadata, no_send_options, &result};
    CHECK(info.result<int>() == &result);
    CHECK(info.result<long>() == nullptr);
    CHECK(info.result<CommitResult>() == nullptr);

    const Forget forget;
    std::optional<std::monostate> nothing;
    CHECK(CommandInfo{forget, no_metadata, no_send_options, &nothing}.result<std::monostate>() == &nothing);
}

TEST_CASE("the same command with other metadata")
{
    const Count count;
    std::optional<int> result;
    const SendOptions options{{}, Timestamp{Duration{5}}};
    const CommandInfo info{count, no_metadata, options, &result};
    Metadata metadata;
    metadata.actor = "ada";
    const CommandInfo other = info.with(metadata);
    CHECK(other.metadata.actor == "ada");
    CHECK(other.as<Count>() == &count);
    CHECK(other.result<int>() == &result);
    CHECK(other.deadline == options.deadline);
    CHECK(other.name == info.name);
}
