// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/tally.hpp"

#include <escqrs/commands/command_bus.hpp>
#include <escqrs/commands/dispatcher/command_dispatcher.hpp>
#include <escqrs/commands/middleware/deduplication.hpp>
#include <escqrs/commands/middleware/retry_on_conflict.hpp>
#include <escqrs/commands/repository.hpp>
#include <escqrs/testing/catch2.hpp>

#include <functional>

using namespace escqrs;
using tally::Amounts;
using tally::Tally;
using tally::with_command;
using Store = tally::WatchedStore;
using Tallies = Repository<Tally, Store>;

namespace {

struct Add {
    Tally::Id tally;
    Amounts amounts;
};

} // namespace

TEST_CASE("whether a command has been carried out is asked once")
{
    Store store;
    const Tallies tallies{store};
    const Tally::Id id{random_uuid()};
    const auto metadata = with_command();
    const auto add = [](Tally& tally) { tally.add({1, 2}); };
    tallies.execute_or_begin(id, add);
    const auto asked = [&](const auto& work) {
        store.located = 0;
        work();
        return store.located;
    };

    SECTION("by a repository alone")
    {
        CHECK(asked([&] { tallies.execute(id, add); }) == 0);
        CHECK(asked([&] { tallies.execute(id, add, metadata); }) == 1);
        CHECK(asked([&] { tallies.execute(id, add, metadata); }) == 1);
        auto tally = tallies.get(id);
        tally.add(1);
        CHECK(asked([&] { tallies.save(tally, with_command()); }) == 0);
    }
    SECTION("by a repository that meets a conflict")
    {
        int decisions = 0;
        const auto contested = [&](Tally& tally) {
            if (++decisions < 3) tallies.execute(id, add);
            tally.add(1);
        };
        CHECK(asked([&] { tallies.execute(id, contested, metadata); }) == 1);
        CHECK(decisions == 3);
    }
    SECTION("behind a command bus that recognises repeats")
    {
        RepositoryOptions one_attempt;
        one_attempt.retry.attempts = 1;
        const Tallies impatient{store, one_attempt};
        int conflicts = GENERATE(0, 2);
        CommandBus bus;
        bus.use(deduplication(impatient));
        bus.use(retry_on_conflict({10, Duration{1}, Duration{1}}));
        bus.handle<Add>([&](const Add& command, const Metadata& with) {
            return impatient.execute(
                command.tally,
                [&](Tally& tally) {
                    if (conflicts > 0) {
                        --conflicts;
                        tallies.execute(id, add);
                    }
                    tally.add(command.amounts);
                },
                with);
        });
        const CommandDispatcher dispatcher{bus, [](const std::function<void()>& task) { task(); }};
        CommitResult first{StreamId{"a", "1"}, {}, {}};
        CHECK(asked([&] { first = bus.send(Add{id, {3}}, metadata); }) == 1);
        CHECK_FALSE(first.repeated);
        CHECK(asked([&] { CHECK(bus.send(Add{id, {3}}, metadata) == first); }) == 1);
        CHECK(asked([&] { CHECK(dispatcher.send(Add{id, {3}}, metadata).get().repeated); }) == 1);
        CHECK(asked([&] { dispatcher.send(Add{id, {4}}, with_command()).get(); }) == 1);
        CHECK(asked([&] { bus.send(Add{id, {5}}); }) == 0);
    }
}
