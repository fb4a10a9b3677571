// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/lending.hpp"
#include "testing/failure_text.hpp"

#include <escqrs/events/event_bus.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/given_events.hpp>

#include <map>
#include <string>
#include <string_view>
#include <vector>

using namespace escqrs::testing;
using escqrs::EventContext;
using lending::BookLent;
using lending::BookReturned;
using lending::ReaderQueued;

namespace {

/// Who has which book.
struct Readers {
    using Events = escqrs::EventList<BookLent, BookReturned>;

    void handle(const BookLent& event, const EventContext& context)
    {
        contexts.push_back(context);
        by_book[context.stream.text()] = event.reader;
    }
    void handle(const BookReturned&, const EventContext& context)
    {
        contexts.push_back(context);
        by_book.erase(context.stream.text());
    }

    std::map<std::string, std::string> by_book;
    std::vector<EventContext> contexts;
};

const std::string dune = "book-00000000-0000-4000-8000-000000000001";
const std::string emma = "book-00000000-0000-4000-8000-000000000002";

/// Compares by `==` only.
struct Opaque {
    int value = 0;
    std::vector<int> more{};
    friend bool operator==(const Opaque&, const Opaque&) = default;
};

} // namespace

TEST_CASE("given events: a read model handles them, and is queried")
{
    Readers readers;
    given(in_stream("book", 1), BookLent{"Ada"}, in_stream("book", 2), BookLent{"Bob"}, ReaderQueued{"Cleo"},
          in_stream("book", 1), BookReturned{"Ada"})
        .projected_by(readers)
        .then(&Readers::by_book, std::map<std::string, std::string>{{emma, "Bob"}})
        .then([](const Readers& model) { return model.by_book.size(); }, 1U)
        .then([](const Readers& model) { return model.by_book.at(emma); }, "Bob");
}

TEST_CASE("given events: each has the context it would have in a store")
{
    Readers readers;
    given(in_stream("book", 1), BookLent{"Ada"}, in_stream("book", 2), BookLent{"Bob"}, ReaderQueued{"Cleo"},
          in_stream("book", 1), BookReturned{"Ada"})
        .projected_by(readers);
    REQUIRE(readers.contexts.size() == 3);
    const auto& last = readers.contexts.back();
    CHECK(last.stream.text() == dune);
    CHECK(last.version == escqrs::StreamVersion{2});
    CHECK(last.position == escqrs::GlobalPosition{4}); // the event without a handler counts
    CHECK(last.id.value() == SequentialIds::nth(4));
    CHECK(escqrs::to_rfc3339(last.recorded_at).starts_with("2026-01-01T00:00:04"));
    CHECK_FALSE(last.is_replay);
    CHECK(readers.contexts[1].version == escqrs::StreamVersion{1});
    CHECK(readers.contexts[1].stream.text() == emma);

    given(in_stream(escqrs::StreamId::parse("book-5")), BookLent{"Ada"}).replayed_by(readers);
    CHECK(readers.contexts.back().is_replay);
    CHECK(readers.contexts.back().stream.text() == "book-5");
}

TEST_CASE("given events: the same ones serve several read models")
{
    const auto history = given(BookLent{"Ada"});
    for (int time = 0; time < 2; ++time) {
        Readers readers;
        history.projected_by(readers).then([](const Readers& model) { return model.contexts.front().position.value(); },
                                           1U);
    }
}

TEST_CASE("given events: a difference names the entries, and the history")
{
    Readers readers;
    const auto projected = given(in_stream("book", 1), BookLent{"Ada"}).projected_by(readers);
    CHECK(failure_text([&] {
              projected.then(&Readers::by_book, std::map<std::string, std::string>{{dune, "Bob"}});
          }) == "['" + dune +
                    "']: expected 'Bob', found 'Ada'\n"
                    "given\n"
                    "  1. " +
                    dune + ": BookLent{reader: 'Ada'}");
    CHECK(failure_text([&] {
              projected.then([](const Readers&) { return Opaque{1}; }, Opaque{2});
          }).starts_with("found another Opaque than expected; with a serialize it would show where it differs\n"));
    projected.then([](const Readers&) { return Opaque{1}; }, Opaque{1});
}

TEST_CASE("given events: a number is compared as it was written, not as the read model would hold it")
{
    Readers readers;
    const auto projected = given(BookLent{"Ada"}).projected_by(readers);
    const auto one = [](const Readers&) { return 1; };
    projected.then(one, 1U).then(one, 1.0).then([](const Readers&) { return true; }, true);
    CHECK(failure_text([&] { projected.then(one, 1.5); }).starts_with("expected 1.5, found 1\n"));
    CHECK(failure_text([&] {
              projected.then([](const Readers&) { return ~0U; }, -1);
          }).starts_with("expected -1, found 4294967295\n"));
    CHECK(failure_text([&] {
              projected.then([](const Readers&) { return true; }, 2);
          }).starts_with("expected 2, found true\n"));
    projected.then([](const Readers&) { return 0.1F; }, 0.1F).then([](const Readers&) { return 0.5F; }, 0.5);

    STATIC_REQUIRE(escqrs::testing::detail::ComparableWith<std::string, std::string_view>);
    STATIC_REQUIRE_FALSE(escqrs::testing::detail::ComparableWith<bool, const char*>);
    STATIC_REQUIRE_FALSE(escqrs::testing::detail::ComparableWith<std::vector<int>, int>);
}

TEST_CASE("given events: published on a bus, to its subscribers")
{
    escqrs::EventBus bus;
    std::vector<std::string> lent;
    const auto connection = bus.subscribe<BookLent>([&](const BookLent& event, const EventContext& context) {
        lent.push_back(event.reader + " at " + std::to_string(context.version.value()));
    });
    given(BookLent{"Ada"}, BookReturned{"Ada"}, BookLent{"Bob"})
        .published_on(bus)
        .then([&] { return lent; }, std::vector<std::string>{"Ada at 1", "Bob at 3"});
}
