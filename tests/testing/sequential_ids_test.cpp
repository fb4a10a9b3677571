// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/account.hpp"

#include <escqrs/commands/repository.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/sequential_ids.hpp>

#include <set>
#include <vector>

using escqrs::testing::SequentialIds;

TEST_CASE("sequential ids: count from 1, and copies continue the same count")
{
    const SequentialIds ids;
    const SequentialIds copy = ids;
    CHECK(escqrs::to_string(ids()) == "00000000-0000-4000-8000-000000000001");
    CHECK(copy() == SequentialIds::nth(2));
    CHECK(ids() == SequentialIds::nth(3));
    CHECK(SequentialIds{}() == SequentialIds::nth(1));
    CHECK(escqrs::to_string(SequentialIds::nth(0x0123456789AB)) == "00000000-0000-4000-8000-0123456789ab");
}

TEST_CASE("sequential ids: a repository gives them to its events")
{
    escqrs::in_memory::EventStore store;
    escqrs::RepositoryOptions options;
    options.ids = SequentialIds{};
    const escqrs::Repository<account::Account, escqrs::in_memory::EventStore> accounts{store, options};
    auto account = account::Account::open(account::Account::Id{SequentialIds::nth(9)}, "Ada");
    account.deposit(1);
    accounts.save(account);
    CHECK(store.locate(escqrs::EventId{SequentialIds::nth(2)})->version == escqrs::StreamVersion{2});
}

TEST_CASE("sequential ids: give each id once, to any thread")
{
    const SequentialIds ids;
    std::vector<std::vector<escqrs::Uuid>> given(4);
    {
        std::vector<escqrs::jthread> threads;
        for (auto& mine : given) {
            threads.emplace_back([&ids, &mine] {
                for (int time = 0; time < 1000; ++time) mine.push_back(ids());
            });
        }
    }
    std::set<escqrs::Uuid> all;
    for (const auto& mine : given) all.insert(mine.begin(), mine.end());
    CHECK(all.size() == 4000);
    CHECK(all.contains(SequentialIds::nth(4000)));
}
